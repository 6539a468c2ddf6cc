"""What people read, in English and Chinese; the language is that of --lang, else of the locale.

Help texts, names of columns and what programs read stay English.
"""

import os
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

LANGUAGES: Final = ("en", "zh")
_LOCALE_VARIABLES: Final = ("LC_ALL", "LC_MESSAGES", "LANG")  # the first that is set counts

_chosen: ContextVar[str | None] = ContextVar("language", default=None)


def choose(language: str | None) -> None:
    """None: that of the locale."""
    _chosen.set(language)


def language() -> str:
    chosen = _chosen.get()
    if chosen is not None:
        return chosen
    locale = next((os.environ[name] for name in _LOCALE_VARIABLES if os.environ.get(name)), "")
    return "zh" if locale.lower().startswith("zh") else "en"


def tell(name: str, /, **values: Any) -> str:
    return SENTENCES[name][LANGUAGES.index(language())].format(**values)


SENTENCES: Final[Mapping[str, tuple[str, str]]] = {
    # where to, and as whom
    "no endpoint": (
        (
            "no server is known: start one (backroom serve), point --data at its folder, or say "
            "--endpoint URL with --ak, --sk and --project-id"
        ),
        (
            "不知道连接哪个服务：请先启动服务（backroom serve），或用 --data 指定其数据目录，"
            "或给出 --endpoint、--ak、--sk 和 --project-id"
        ),
    ),
    "no local access": (
        "{why}; or say --endpoint URL with --ak, --sk and --project-id",
        "{why}；也可以给出 --endpoint、--ak、--sk 和 --project-id",
    ),
    "no key": (
        "no key for {endpoint}: say --ak and --sk, or set CLOUD_SDK_AK and CLOUD_SDK_SK",
        "没有访问 {endpoint} 的密钥：请用 --ak 和 --sk 指定，或设置 CLOUD_SDK_AK 和 CLOUD_SDK_SK",
    ),
    "no project": (
        "no project: say --project-id, or set BACKROOM_PROJECT_ID",
        "未指定项目：请用 --project-id 指定，或设置 BACKROOM_PROJECT_ID",
    ),
    "bad endpoint": (
        "{endpoint} is no URL like https://127.0.0.1:8443",
        "{endpoint} 不是形如 https://127.0.0.1:8443 的地址",
    ),
    "unreachable": (
        "{endpoint} can't be reached: {why}; is the server running? Try: backroom doctor",
        "无法连接 {endpoint}：{why}。服务在运行吗？可执行 backroom doctor 检查",
    ),
    "not the api": (
        "what answered does not speak this API ({why}); look at the endpoint",
        "应答方不是此 API 的服务（{why}），请检查地址",
    ),
    "in the clear": (
        "{endpoint} is not encrypted: others on the way can read and change what is sent",
        "{endpoint} 未加密：途中的他人可以读取和篡改传输内容",
    ),
    "untrusted": (
        "the certificate of {endpoint} is not trusted: {why}; say which CA to trust by --ca FILE",
        "{endpoint} 的证书不受信任：{why}。请用 --ca FILE 指定要信任的 CA",
    ),
    "answer lost": (
        (
            "the answer got lost ({why}): the change may have been accepted. Look with: "
            "backroom tasks list"
        ),
        "应答丢失（{why}）：变更可能已被接受。请用 backroom tasks list 查看",
    ),
    "refused": ("{code}: {text}", "{code}：{text}"),
    "hint elsewhere": (
        "; it points to {to}, and no redirect is followed: look at the endpoint",
        "；它指向 {to}，而重定向不会被跟随：请检查地址",
    ),
    "secret shown": (
        "{option} shows a secret in the list of processes: use {option}-file FILE, or {option} -",
        "{option} 会使机密出现在进程列表中：请改用 {option}-file FILE 或 {option} -",
    ),
    "hint identity": (
        " Check the key, and that this machine's clock is right.",
        " 请检查密钥，以及本机时钟是否准确。",
    ),
    "no native": (
        (
            "{endpoint} has no native API of Backroom, and the official API has no call for this: "
            "{what}"
        ),
        "{endpoint} 没有 Backroom 的原生 API，而官方接口不支持此操作：{what}",
    ),
    # which instance
    "no instance": (
        "which instance? There are {names}; say one, or set BACKROOM_INSTANCE_ID",
        "是哪个实例？现有：{names}。请指定一个，或设置 BACKROOM_INSTANCE_ID",
    ),
    "no instances": ("the project has no instance", "该项目没有实例"),
    "unknown instance": (
        "there is no instance called {name}; see: backroom instances list",
        "没有名为 {name} 的实例，可用 backroom instances list 查看",
    ),
    "several instances": (
        "{count} instances are called {name}: say the id of one",
        "有 {count} 个实例名为 {name}，请用 ID 指定",
    ),
    "official needs instance": (
        (
            "{endpoint} has only the official API, which looks for tasks of one instance: "
            "say --instance"
        ),
        "{endpoint} 只有官方接口，只能查询单个实例的任务：请用 --instance 指定",
    ),
    "instance or all": (
        "either --instance or --all-instances",
        "--instance 与 --all-instances 只能选其一",
    ),
    "hint all instances": (
        "; --all-instances means the whole project",
        "；--all-instances 表示整个项目",
    ),
    "not its instance": (
        "{id} is not a task of {instance}",
        "{id} 不是 {instance} 的任务",
    ),
    # what came of it
    "more": (
        "{shown} of {total}; all of them: --all",
        "显示 {shown} 条，共 {total} 条；加 --all 显示全部",
    ),
    "more native": ("there are more; all of them: --all", "还有更多；加 --all 显示全部"),
    "none": ("nothing found", "没有找到"),
    "succeeded": ("{name} {id} succeeded after {took}", "{name} {id} 成功，用时 {took}"),
    "failed": ("{name} {id} FAILED: {why}", "{name} {id} 失败：{why}"),
    "cancelled": ("{name} {id} was cancelled: {why}", "{name} {id} 已取消：{why}"),
    "in flight": ("{name} {id} is still {word}", "{name} {id} 仍为 {word}"),
    "changed": (
        "{name} {id} {word}{step}{percent}{left}",
        "{name} {id} {word}{step}{percent}{left}",
    ),
    "no reason": ("no reason was given", "未说明原因"),
    "reason unknown": (
        "the official API tells no reason",
        "官方接口不提供原因",
    ),
    "timed out": (
        (
            "time is up after {after}: {count} not ended. They go on; wait again with: "
            "backroom tasks wait {ids}"
        ),
        (
            "已等待 {after}，仍有 {count} 个任务未结束。任务会继续执行，可再次等待："
            "backroom tasks wait {ids}"
        ),
    ),
    "failed fast": (
        "stopped waiting at the first failure; {count} not ended go on",
        "遇到第一个失败即停止等待，其余 {count} 个未结束的任务会继续执行",
    ),
    "interrupted": (
        "stopped watching. What has begun goes on; look again with: backroom tasks watch {ids}",
        "已停止查看。已开始的任务会继续执行，可再次查看：backroom tasks watch {ids}",
    ),
    "away": (
        "{why} Trying again for up to {most}.",
        "{why} 将在 {most} 内继续重试。",
    ),
    "gone": (
        "the record of {id} is gone: it was deleted",
        "任务 {id} 的记录已被删除",
    ),
    "cancelled now": ("cancelled {id}", "已取消 {id}"),
    "deleted": ("deleted {id}", "已删除 {id}"),
    "moved": ("moved {id} to {at}", "已将 {id} 改到 {at} 执行"),
    "task": ("task {id}", "任务 {id}"),
    "task of": ("task {id} {name}", "任务 {id} {name}"),
    "no task found": (
        "accepted, but its task is not in the list",
        "已受理，但在列表中没有找到对应的任务",
    ),
    "instance not accepted": ("not accepted for {id}", "{id} 未被受理"),
    "estimate": ("it would take about {left}", "预计需要 {left}"),
    "bulk done": (
        "{done} of {count} done, {skipped} skipped",
        "共 {count} 个，完成 {done} 个，跳过 {skipped} 个",
    ),
    "too many matches": (
        "more than {most} tasks match, the most for one go: narrow it, as by --from and --to",
        "匹配的任务超过单次上限 {most} 个：请缩小范围，例如用 --from 和 --to",
    ),
    "more than confirmed": (
        "more than the {count} tasks that were confirmed match now; nothing was changed",
        "现在匹配的任务多于已确认的 {count} 个，未做任何更改",
    ),
    "exported": ("{count} tasks", "{count} 个任务"),
    # before something is lost
    "confirm": ("{what} Go on?", "{what} 是否继续？"),
    "confirm instances": (
        "This deletes {names} with all topics and messages, for ever.",
        "这会永久删除 {names} 及其所有 Topic 和消息。",
    ),
    "confirm topics": (
        "This deletes the topics {names} of {instance} with all messages, for ever.",
        "这会永久删除 {instance} 的 Topic {names} 及其所有消息。",
    ),
    "confirm records": (
        "This deletes the records of {count} tasks for ever; it stops nothing.",
        "这会永久删除 {count} 个任务的记录，但不会停止任何任务。",
    ),
    "confirm bulk cancel": (
        "This cancels {tasks} of {scope} ({filter}); those that have begun are asked to stop.",
        "这会取消{scope}的{tasks}（{filter}），已开始的任务会被要求停止。",
    ),
    "confirm bulk retry": (
        "This does {tasks} of {scope} again ({filter}), each as a new task.",
        "这会重试{scope}的{tasks}（{filter}），每个都作为新任务执行。",
    ),
    "confirm bulk delete": (
        "This deletes the records of {tasks} of {scope} ({filter}) for ever.",
        "这会永久删除{scope}的{tasks}（{filter}）的记录。",
    ),
    "so many tasks": ("{count} tasks", " {count} 个任务"),
    "all matching tasks": ("all matching tasks", "所有匹配的任务"),
    "all instances": ("all instances", "所有实例"),
    "one instance": ("{name} ({id})", "实例 {name}（{id}）"),
    "needs yes": ("not a terminal: say --yes to go on", "不是终端：确认执行请加 --yes"),
    "not confirmed": ("nothing was changed", "未做任何更改"),
    # doctor
    "doctor well": ("nothing is broken", "没有故障"),
    "doctor broken": ("broken: {count}", "有 {count} 项故障"),
    "data missing": ("{data} is not there", "{data} 不存在"),
    "data missing do": (
        "start a server once: backroom serve --data {data}",
        "请先启动一次服务：backroom serve --data {data}",
    ),
    "data open": (
        "{path} can be read by others (mode {mode})",
        "其他用户可以读取 {path}（权限 {mode}）",
    ),
    "data open do": ("chmod go-rwx {path}", "chmod go-rwx {path}"),
    "data not ours": ("{path} can't be read or written", "{path} 无法读写"),
    "data not ours do": (
        "run as the user that serves it, or: chown -R $(id -un) {data}",
        "请以运行服务的用户执行，或：chown -R $(id -un) {data}",
    ),
    "data full": ("only {free} MB are free on {data}", "{data} 仅剩 {free} MB 空间"),
    "data full do": (
        "make room: tasks can't be recorded on a full disk",
        "请清理磁盘：磁盘写满后无法记录任务",
    ),
    "data well": ("{data}, {free} MB free", "{data}，剩余 {free} MB"),
    "server well": ("{endpoint} answers", "{endpoint} 有应答"),
    "server never": (
        "no server has run on this folder",
        "该数据目录尚未启动过服务",
    ),
    "server down": ("{endpoint} does not answer: {why}", "{endpoint} 没有应答：{why}"),
    "server down do": (
        "start it: backroom serve --data {data}",
        "请启动服务：backroom serve --data {data}",
    ),
    "server unready": (
        "{endpoint} answers, but is not ready: {why}",
        "{endpoint} 有应答，但未就绪：{why}",
    ),
    "server unready do": (
        "look at its database, see below",
        "请检查数据库，见下文",
    ),
    "port taken": (
        "something else answers on port {port}",
        "端口 {port} 被其他程序占用",
    ),
    "port taken do": (
        "choose another one: backroom serve --port 9443",
        "请换一个端口：backroom serve --port 9443",
    ),
    "port free": ("port {port} is free", "端口 {port} 空闲"),
    "port of ours": ("port {port} is this server's", "端口 {port} 由本服务使用"),
    "certificate none": (
        "none yet: the first serve over TLS makes one",
        "尚无证书：首次以 TLS 启动服务时会生成",
    ),
    "certificate partly": ("{folder} lacks {names}", "{folder} 缺少 {names}"),
    "certificate partly do": (
        "add what is missing, or empty the folder to get new ones",
        "请补齐缺少的文件，或清空该目录以重新生成",
    ),
    "certificate unreadable": ("{path} is no certificate", "{path} 不是证书"),
    "certificate stranger": (
        "server.pem is not from the CA in ca.pem: clients won't trust it",
        "server.pem 不是由 ca.pem 中的 CA 签发，客户端不会信任",
    ),
    "certificate ended": ("expired on {day}", "已于 {day} 过期"),
    "certificate ends": ("expires in {days} days, on {day}", "将在 {days} 天后（{day}）过期"),
    "certificate renew do": (
        "put new ones into {folder}, or empty it, and restart the server",
        "请在 {folder} 中放入新证书，或清空该目录，然后重启服务",
    ),
    "certificate early": (
        "valid only from {day}: is this machine's clock wrong?",
        "{day} 起才有效：本机时钟是否有误？",
    ),
    "certificate well": ("good until {day}", "有效期至 {day}"),
    "clock apart": (
        "this machine and {endpoint} differ by {seconds} s: signatures are refused from 900 s on",
        "本机与 {endpoint} 的时钟相差 {seconds} 秒：超过 900 秒签名会被拒绝",
    ),
    "clock back": (
        "it is before the last write to {path}, by {seconds} s",
        "当前时间比 {path} 最后写入的时间早 {seconds} 秒",
    ),
    "clock do": (
        "set the clock by NTP, as by: timedatectl set-ntp true",
        "请用 NTP 校准时钟，例如：timedatectl set-ntp true",
    ),
    "clock well": ("{now}", "{now}"),
    "database none": ("none yet", "尚未创建"),
    "database wrong": ("{why}", "{why}"),
    "database wrong do": (
        "look closer: backroom db check --data {data}; restore a backup if it is damaged",
        "请进一步检查：backroom db check --data {data}；如有损坏请从备份恢复",
    ),
    "database away do": (
        "start PostgreSQL, and check address, user and password (PGPASSWORD or ~/.pgpass)",
        "请启动 PostgreSQL，并检查地址、用户和密码（PGPASSWORD 或 ~/.pgpass）",
    ),
    "database well": ("{database}: nothing wrong", "{database}：没有问题"),
    "tool none": ("not found", "未找到"),
    "tool well": ("{version}", "{version}"),
    "tool old": ("{version}, older than {wanted}", "{version}，低于 {wanted}"),
    "java do": (
        "only for Java samples and real brokers: install a JDK of {wanted} or newer",
        "仅 Java 示例和真实 Broker 需要：请安装 JDK {wanted} 或更新版本",
    ),
    "maven do": (
        "only for Java samples and real brokers: install Maven of {wanted} or newer",
        "仅 Java 示例和真实 Broker 需要：请安装 Maven {wanted} 或更新版本",
    ),
    "postgresql do": (
        "only for several processes, and for their tests: install PostgreSQL of {wanted} or newer",
        "仅多进程部署及其测试需要：请安装 PostgreSQL {wanted} 或更新版本",
    ),
}
