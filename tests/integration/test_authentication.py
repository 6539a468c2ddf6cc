"""Who may come in: four algorithms, tokens, temporary keys, skew, replays, locks."""

import asyncio
import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.signer import (
    ALGORITHMS,
    ECDSA,
    HMAC_SHA256,
    P256_ORDER,
    Signer,
    canonical_path,
)
from tests.support.world import Caller, ask

from backroom.domain.account import Role

UNAUTHENTICATED = (401, "APIGW.0301")
PREFIX = "Incorrect IAM authentication information: "
BIND = json.dumps({"publicip_id": "eip-1"}).encode()


def at(world, **by):
    """Somebody whose clock differs from ours."""
    moved = world.clock.now() + timedelta(**by)

    def proof(signer, method, target, body=b""):
        return signer.headers(method, target, body, moved)

    return proof


@pytest.fixture(params=ALGORITHMS)
def algorithm(request):
    return request.param


@pytest.fixture
def signer(world, algorithm):
    return replace(world.caller().signer, algorithm=algorithm)


def refused(caller, target, **more):
    answer = caller.get(target, **more)
    assert answer.error == UNAUTHENTICATED
    assert answer.message.startswith(PREFIX)
    return answer.message.removeprefix(PREFIX)


class TestSignature:
    def test_each_algorithm_reads_and_writes(self, world, signer):
        caller = Caller(world, signer)
        assert caller.get(f"{world.tasks_path}?limit=5&start=1").status == 200
        assert caller.call("POST", world.public_access_path, BIND).status == 204
        task_id = world.newest()["id"]
        world.run_until_idle()
        assert caller.delete(f"{world.tasks_path}/{task_id}").status == 204

    def test_a_wrong_secret_is_told_what_the_server_would_have_signed(self, world, signer):
        wrong = Caller(world, replace(signer, secret_key="not-the-secret"))
        target = f"{world.tasks_path}?start=1&limit=5"
        message = refused(wrong, target)
        lines = message.removeprefix("verify aksk signature fail, canonicalRequest:").split("|")
        date = world.clock.now().strftime("%Y%m%dT%H%M%SZ")
        assert lines == [
            "GET",
            canonical_path(target),
            "limit=5&start=1",
            "content-type:application/json",
            "host:localhost",
            f"x-sdk-date:{date}",
            "",
            "content-type;host;x-sdk-date",
            signer._digest(b""),
        ]

    def test_a_wrong_secret_writes_nothing(self, world, signer):
        wrong = Caller(world, replace(signer, secret_key="not-the-secret"))
        before = world.dump()
        answer = wrong.call("POST", world.public_access_path, BIND)
        assert answer.error == UNAUTHENTICATED
        assert world.dump() == before

    def test_an_unknown_key_is_named(self, world, signer):
        message = refused(Caller(world, replace(signer, access_key="GHOST")), world.tasks_path)
        assert message == "Get secretKey failed,ak:GHOST,err:ak not exist"

    @pytest.mark.parametrize("minutes", [-14, 14, -15, 15])
    def test_a_clock_up_to_15_minutes_off_is_taken(self, world, signer, minutes):
        world.clock.moment = world.clock.moment.replace(microsecond=0)
        headers = at(world, minutes=minutes)(signer, "GET", world.tasks_path)
        assert world.nobody.send("GET", world.tasks_path, b"", headers).status == 200

    @pytest.mark.parametrize("seconds", [-16 * 60, 16 * 60, -15 * 60 - 1, 15 * 60 + 1])
    def test_a_clock_more_than_15_minutes_off_is_not(self, world, signer, seconds):
        world.clock.moment = world.clock.moment.replace(microsecond=0)
        headers = at(world, seconds=seconds)(signer, "GET", world.tasks_path)
        answer = world.nobody.send("GET", world.tasks_path, b"", headers)
        assert answer.error == UNAUTHENTICATED
        assert answer.message == f"{PREFIX}calc ak sk signature fail:signature expired"

    def test_a_day_ends_meanwhile(self, world, signer):
        """V11 signs a day: that of the request's date, whatever day it is here."""
        world.clock.moment = world.clock.moment.replace(hour=0, minute=5)
        headers = at(world, minutes=-10)(signer, "GET", world.tasks_path)
        assert world.nobody.send("GET", world.tasks_path, b"", headers).status == 200

    @pytest.mark.parametrize(
        "tampered",
        [
            ("GET", "{tasks}?limit=6", b""),
            ("GET", "{tasks}?limit=5&start=2", b""),
            ("GET", "{tasks}/", b""),
            ("GET", "{scheduled}?limit=5", b""),
            ("GET", "{tasks}?limit=5", b"{}"),
        ],
    )
    def test_what_is_signed_can_not_be_changed(self, world, signer, tampered):
        headers = Caller(world, signer).proof("GET", f"{world.tasks_path}?limit=5")
        method, target, body = tampered
        target = target.format(tasks=world.tasks_path, scheduled=world.scheduled_path)
        answer = world.nobody.send(method, target, body, headers)
        assert answer.status in {401, 404}
        if answer.status == 404:
            assert target.endswith("/")  # the same to a signature, not to the router

    def test_the_method_is_signed(self, world, signer):
        task_id = world.submit()
        world.run_until_idle()
        target = f"{world.tasks_path}/{task_id}"
        headers = Caller(world, signer).proof("GET", target)
        before = world.dump()
        assert world.nobody.send("DELETE", target, b"", headers).error == UNAUTHENTICATED
        assert world.dump() == before

    def test_the_body_is_signed(self, world, signer):
        headers = Caller(world, signer).proof("POST", world.public_access_path, BIND)
        before = world.dump()
        answer = world.nobody.send("POST", world.public_access_path, b'{"publicip_id":""}', headers)
        assert answer.error == UNAUTHENTICATED
        assert world.dump() == before

    def test_another_project_in_a_header_changes_nothing(self, world, signer):
        caller = Caller(world, signer)
        headers = [("X-Project-Id", "f" * 32), ("X-Domain-Id", "e" * 32)]
        assert caller.get(world.tasks_path, headers=headers).status == 200


class TestReplay:
    def test_a_write_is_taken_once(self, world, signer):
        headers = Caller(world, signer).proof("POST", world.public_access_path, BIND)
        first = world.nobody.send("POST", world.public_access_path, BIND, headers)
        assert first.status == 204
        before = world.dump()
        for _ in range(2):
            again = world.nobody.send("POST", world.public_access_path, BIND, headers)
            assert again.error == UNAUTHENTICATED
            assert "already used" in again.message
        assert world.dump() == before

    def test_a_read_may_be_sent_again(self, world, signer):
        headers = Caller(world, signer).proof("GET", world.tasks_path)
        for _ in range(3):
            assert world.nobody.send("GET", world.tasks_path, b"", headers).status == 200

    def test_a_write_is_known_again_until_its_date_no_longer_holds(self, world, signer):
        headers = at(world, minutes=14)(signer, "POST", world.public_access_path, BIND)
        assert world.nobody.send("POST", world.public_access_path, BIND, headers).status == 204
        for minutes in (14, 14, 0.9, 1, 10):
            world.clock.move(minutes=minutes)
            world.bind()  # others go on, and what is too old is forgotten
            again = world.nobody.send("POST", world.public_access_path, BIND, headers)
            assert again.error == UNAUTHENTICATED

    @pytest.mark.parametrize("code", [400, 403, 404])
    def test_a_refused_write_may_be_sent_again_with_the_same_signature(self, world, signer, code):
        if code == 403:
            signer = replace(world.caller(Role.VIEWER).signer, algorithm=signer.algorithm)
        caller = Caller(world, signer)
        task_id = "0" * 32 if code == 404 else world.submit()
        target = f"{world.tasks_path}/{task_id}"
        headers = caller.proof("DELETE", target)
        before = world.dump()
        for _ in range(3):
            assert world.nobody.send("DELETE", target, b"", headers).status == code
        assert world.dump() == before

    def test_what_was_refused_succeeds_with_the_same_signature_later(self, world, signer):
        task_id = world.submit()
        target = f"{world.tasks_path}/{task_id}"
        headers = Caller(world, signer).proof("DELETE", target)
        assert world.nobody.send("DELETE", target, b"", headers).error == (400, "DMS.00400017")
        world.run_until_idle()
        assert world.nobody.send("DELETE", target, b"", headers).status == 204

    @pytest.mark.parametrize(
        "disguise",
        [
            lambda text: text.replace(", ", ","),
            lambda text: text.replace(", ", " ,  "),
            lambda text: text.replace(" Access", "   Access").replace(
                " Credential", "  Credential"
            ),
            lambda text: text + "  ",
            lambda text: " " + text,
            lambda text: text.replace("content-type;host", "Content-Type;HOST"),
        ],
    )
    def test_a_replay_written_differently_is_still_one(self, world, signer, disguise):
        headers = dict(Caller(world, signer).proof("POST", world.public_access_path, BIND))
        fields = list(headers.items())
        assert world.nobody.send("POST", world.public_access_path, BIND, fields).status == 204
        before = world.dump()
        text = headers[b"authorization"].decode()
        headers[b"authorization"] = disguise(text).encode()
        assert headers[b"authorization"] != text.encode()
        answer = world.nobody.send("POST", world.public_access_path, BIND, list(headers.items()))
        assert answer.error == UNAUTHENTICATED
        assert world.dump() == before

    def test_the_other_form_of_an_ecdsa_signature_is_a_replay(self, world):
        from cryptography.hazmat.primitives.asymmetric.utils import (  # noqa: PLC0415
            decode_dss_signature,
            encode_dss_signature,
        )

        signer = replace(world.caller().signer, algorithm=ECDSA)
        headers = dict(Caller(world, signer).proof("POST", world.public_access_path, BIND))
        fields = list(headers.items())
        assert world.nobody.send("POST", world.public_access_path, BIND, fields).status == 204
        head, _, signature = headers[b"authorization"].decode().rpartition("=")
        r, s = decode_dss_signature(bytes.fromhex(signature))
        mirrored = encode_dss_signature(r, P256_ORDER - s).hex()
        headers[b"authorization"] = f"{head}={mirrored}".encode()
        before = world.dump()
        answer = world.nobody.send("POST", world.public_access_path, BIND, list(headers.items()))
        assert answer.error == UNAUTHENTICATED
        assert "already used" in answer.message
        assert world.dump() == before

    def test_of_the_same_write_sent_many_times_at_once_one_is_taken(self, world, signer):
        target = world.public_access_path
        headers = [*Caller(world, signer).proof("POST", target, BIND), (b"content-length", b"24")]
        assert len(BIND) == 24
        application = world.backroom.application

        async def at_once():
            same = (
                ask(application, "POST", target.encode(), b"", headers, [BIND]) for _ in "12345"
            )
            return await asyncio.gather(*same)

        statuses = [answer.status for answer in world.do(at_once())]
        assert sorted(statuses) == [204, 401, 401, 401, 401]
        assert world.admin.get(world.tasks_path).json["task_count"] == "1"

    def test_by_token_nothing_is_a_replay(self, world):
        world.user("ann", "correct horse")
        ann = world.log_in("ann", "correct horse")
        for _ in range(2):
            assert ann.call("POST", world.public_access_path, BIND).status == 204


class TestLock:
    def test_five_wrong_signatures_in_a_row_lock_a_key_for_five_minutes(self, world, signer):
        right = Caller(world, signer)
        wrong = Caller(world, replace(signer, secret_key="not-the-secret"))
        for _ in range(5):
            assert "verify aksk signature fail" in refused(wrong, world.tasks_path)
        locked = "AK access failed to reach the limit,forbidden."
        assert refused(wrong, world.tasks_path) == locked
        assert refused(right, world.tasks_path) == locked
        assert world.admin.get(world.tasks_path).status == 200  # others are not touched
        world.clock.move(minutes=4, seconds=59)
        assert refused(right, world.tasks_path) == locked
        world.clock.move(seconds=1)
        assert right.get(world.tasks_path).status == 200

    def test_a_right_signature_in_between_starts_the_count_anew(self, world, signer):
        right = Caller(world, signer)
        wrong = Caller(world, replace(signer, secret_key="not-the-secret"))
        for _ in range(3):
            for _ in range(4):
                refused(wrong, world.tasks_path)
            assert right.get(world.tasks_path).status == 200

    def test_an_old_date_or_a_missing_header_is_no_guess(self, world, signer):
        headers = at(world, minutes=-20)(signer, "GET", world.tasks_path)
        for _ in range(6):
            world.nobody.send("GET", world.tasks_path, b"", headers)
        assert Caller(world, signer).get(world.tasks_path).status == 200


class TestKeys:
    def test_a_revoked_key_is_refused_at_once(self, world, signer):
        caller = Caller(world, signer)
        assert caller.get(world.tasks_path).status == 200
        assert world.do(world.backroom.accounts.revoke_key(None, signer.access_key))
        assert "ak not exist" in refused(caller, world.tasks_path)

    def test_a_key_added_under_the_same_name_has_its_own_secret(self, world):
        caller = world.caller()
        name, accounts = caller.signer.access_key, world.backroom.accounts
        assert caller.get(world.tasks_path).status == 200
        world.do(accounts.revoke_key(None, name))
        world.do(accounts.add_key(None, name, "another-secret", world.project_id, Role.OPERATOR))
        assert "verify aksk signature fail" in refused(caller, world.tasks_path)


@pytest.fixture
def temporary(world):
    body = {"auth": {"identity": {"methods": ["token"], "token": {"duration_seconds": 900}}}}
    answer = world.caller().post("/v3.0/OS-CREDENTIAL/securitytokens", body)
    assert answer.status == 201
    made = answer.json["credential"]
    return Signer(made["access"], made["secret"], HMAC_SHA256, made["securitytoken"])


class TestTemporaryKey:
    def test_it_reads_and_writes_with_its_security_token(self, world, temporary):
        caller = Caller(world, temporary)
        assert caller.get(world.tasks_path).status == 200
        assert caller.call("POST", world.public_access_path, BIND).status == 204

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_in_each_algorithm(self, world, temporary, algorithm):
        caller = Caller(world, replace(temporary, algorithm=algorithm))
        assert caller.get(world.tasks_path).status == 200

    def test_the_security_token_need_not_be_signed(self, world, temporary):
        """[O] Terraform adds it after signing."""
        caller = Caller(world, replace(temporary, security_token=None))
        header = ("X-Security-Token", temporary.security_token)
        assert caller.get(world.tasks_path, headers=[header]).status == 200

    @pytest.mark.parametrize(
        ("presented", "error"),
        [
            (None, "security token is missing"),
            ("", "security token is missing"),
            ("x", "security token is of another ak"),
        ],
    )
    def test_without_its_token_it_is_refused(self, world, temporary, presented, error):
        caller = Caller(world, replace(temporary, security_token=presented))
        message = refused(caller, world.tasks_path)
        assert message == f"verify security token fail,ak:{temporary.access_key},err:{error}"

    def test_it_ends(self, world, temporary):
        caller = Caller(world, temporary)
        world.clock.move(seconds=899)
        assert caller.get(world.tasks_path).status == 200
        world.clock.move(seconds=1)
        assert refused(caller, world.tasks_path).endswith("err:security token expired")

    def test_it_makes_no_other(self, world, temporary):
        body = {"auth": {"identity": {"methods": ["token"]}}}
        before = world.dump()
        answer = Caller(world, temporary).post("/v3.0/OS-CREDENTIAL/securitytokens", body)
        assert answer.error == (403, "DMS.00403003")
        assert world.dump() == before

    def test_a_permanent_key_has_no_security_token(self, world):
        signer = replace(world.caller().signer, security_token="x")
        message = refused(Caller(world, signer), world.tasks_path)
        assert message.endswith("err:ak is permanent and has no security token")


class TestToken:
    @pytest.fixture
    def ann(self, world):
        world.user("ann", "correct horse")
        return world.log_in("ann", "correct horse")

    def test_it_reads_and_writes_and_is_under_its_users_name(self, world, ann):
        assert ann.get(world.tasks_path).status == 200
        assert ann.call("POST", world.public_access_path, BIND).status == 204
        assert world.newest()["user_name"] == "ann"

    def test_it_holds_24_hours(self, world, ann):
        world.clock.move(hours=24, milliseconds=-1)
        assert ann.get(world.tasks_path).status == 200
        world.clock.move(milliseconds=1)
        assert refused(ann, world.tasks_path) == "decrypt token fail"

    def test_one_that_is_unknown_is_answered_like_one_that_ended(self, world, ann):
        for token in ("x", "0" * 64, "a" * 5000, "töken", "\x7f"):
            assert refused(Caller(world, token=token), world.tasks_path) == "decrypt token fail"

    def test_it_counts_before_a_signature(self, world, ann):
        headers = [*world.admin.proof("GET", world.tasks_path), (b"x-auth-token", b"wrong")]
        answer = world.nobody.send("GET", world.tasks_path, b"", headers)
        assert answer.error == UNAUTHENTICATED
        headers = [(b"authorization", b"nonsense"), (b"x-auth-token", ann.token.encode())]
        assert world.nobody.send("GET", world.tasks_path, b"", headers).status == 200

    def test_an_empty_one_counts_as_none(self, world):
        headers = [(b"x-auth-token", b""), *world.admin.proof("GET", world.tasks_path)]
        assert world.nobody.send("GET", world.tasks_path, b"", headers).status == 200

    def test_a_viewers_token_only_reads(self, world):
        world.user("vic", "correct horse", Role.VIEWER)
        vic = world.log_in("vic", "correct horse")
        assert vic.get(world.tasks_path).status == 200
        answer = vic.call("POST", world.public_access_path, BIND)
        assert answer.error == (403, "DMS.00403002")


NO_PROOF = b"no X-Auth-Token and no Authorization header"

MALFORMED = [
    b"",
    b" ",
    b"Basic dXNlcjpwYXNz",
    b"Bearer x",
    b"SDK-HMAC-SHA256",
    b"SDK-HMAC-SHA256 ",
    b"SDK-HMAC-SHA256 Access=",
    b"SDK-HMAC-SHA256 Access=AK1",
    b"SDK-HMAC-SHA256 Access=AK1, SignedHeaders=x-sdk-date",
    b"SDK-HMAC-SHA256 Access=AK1, SignedHeaders=x-sdk-date, Signature=",
    b"SDK-HMAC-SHA256 Access=AK1, Signature=00, SignedHeaders=x-sdk-date",
    b"SDK-HMAC-SHA256 Access=AK1 SignedHeaders=x-sdk-date Signature=00",
    b"SDK-HMAC-SHA256 Access=AK 1, SignedHeaders=x-sdk-date, Signature=00",
    b"SDK-HMAC-SHA256 Access=, SignedHeaders=x-sdk-date, Signature=00",
    b"SDK-HMAC-SHA256 Credential=AK1, SignedHeaders=x-sdk-date, Signature=00",
    b"SDK-HMAC-SHA256 Access=AK1, SignedHeaders=;, Signature=00",
    b"SDK-HMAC-SHA256 Access=AK1, SignedHeaders=a;a, Signature=00",
    b"SDK-HMAC-SHA256 Access=AK1, SignedHeaders=a b, Signature=00",
    b"SDK-HMAC-SHA256 Access=AK1, SignedHeaders=\xe9, Signature=00",
    b"SDK-HMAC-SHA256 Access=AK1, SignedHeaders=x-sdk-date, Signature=zz!!",
    b"SDK-HMAC-SHA256 Access=AK1, SignedHeaders=x-sdk-date, Signature=\xff",
    b"SDK-HMAC-SHA256 Access=AK1, SignedHeaders=" + b"a;" * 70 + b"b, Signature=00",
    b"SDK-HMAC-SHA256 Access=" + b"A" * 9000 + b", SignedHeaders=a, Signature=00",
    b"sdk-hmac-sha256 Access=AK1, SignedHeaders=x-sdk-date, Signature=00",
    b"SDK-SM2-SM3 Access=AK1, SignedHeaders=x-sdk-date, Signature=00",
    b"SDK-HMAC-MD5 Access=AK1, SignedHeaders=x-sdk-date, Signature=00",
    b"AWS4-HMAC-SHA256 Credential=AK1/20260304/r/s/aws4_request, SignedHeaders=host, Signature=00",
    b"V11-HMAC-SHA256 Credential=AK1, SignedHeaders=x-sdk-date, Signature=00",
    b"V11-HMAC-SHA256 Credential=AK1/2026/r/s, SignedHeaders=x-sdk-date, Signature=00",
    b"V11-HMAC-SHA256 Access=AK1, SignedHeaders=x-sdk-date, Signature=00",
    b"\xff\xfe\x00",
    b"SDK-HMAC-SHA256 Access=\xff\xfe, SignedHeaders=x-sdk-date, Signature=00",
    b"SDK-HMAC-SHA256 Access=\x00, SignedHeaders=x-sdk-date, Signature=00",
    "SDK-HMAC-SHA256 Access=密钥, SignedHeaders=x-sdk-date, Signature=00".encode(),
    b"=" * 100,
    b"Signature=" * 100,
]


@pytest.mark.parametrize("value", MALFORMED, ids=lambda value: repr(value[:60]))
def test_a_malformed_authorization_is_refused(quiet_world, value):
    before = quiet_world.dump()
    for method, target in (
        ("GET", quiet_world.tasks_path),
        ("POST", quiet_world.public_access_path),
    ):
        answer = quiet_world.nobody.send(method, target, b"", [(b"authorization", value)])
        assert answer.error == UNAUTHENTICATED
        assert answer.message.startswith(PREFIX)
        assert "Signature=00" not in answer.message
    assert quiet_world.dump() == before


def test_who_shows_nothing_is_told_what_to_show(quiet_world):
    for target in (quiet_world.tasks_path, "/v3/projects", quiet_world.instance_path):
        assert refused(quiet_world.nobody, target).encode() == NO_PROOF


def without(headers, *names):
    return [(name, value) for name, value in headers if name not in names]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (lambda headers: without(headers, b"x-sdk-date"), "date missing"),
        (lambda headers: [*headers, (b"x-sdk-date", b"20260304T050607Z")], "date repeated"),
        (
            lambda headers: [*without(headers, b"x-sdk-date"), (b"x-sdk-date", b"yesterday")],
            "date malformed",
        ),
        (lambda headers: without(headers, b"host"), "signed header missing"),
        (lambda headers: [*headers, headers[-1]], "authorization repeated"),
        (
            lambda headers: [*headers, (b"x-sdk-content-sha256", b"00" * 32)],
            "body hash mismatch",
        ),
    ],
)
def test_what_is_wrong_with_a_signed_request_is_said(quiet_world, broken, reason):
    headers = broken(quiet_world.admin.proof("GET", quiet_world.tasks_path))
    answer = quiet_world.nobody.send("GET", quiet_world.tasks_path, b"", headers)
    assert answer.error == UNAUTHENTICATED
    assert answer.message == f"{PREFIX}verify aksk signature fail, {reason}"


def test_an_unsigned_date_does_not_count(quiet_world):
    signer = quiet_world.admin.signer
    date = quiet_world.clock.now().strftime("%Y%m%dT%H%M%SZ")
    authorization = signer.authorization(
        "GET", quiet_world.tasks_path, b"", {"host": "localhost", "x-sdk-date": date}
    )
    unsigned = re.sub(r"SignedHeaders=[^,]*", "SignedHeaders=host", authorization).encode()
    headers = [
        (b"host", b"localhost"),
        (b"x-sdk-date", date.encode()),
        (b"authorization", unsigned),
    ]
    answer = quiet_world.nobody.send("GET", quiet_world.tasks_path, b"", headers)
    assert answer.message == f"{PREFIX}verify aksk signature fail, date not signed"


def test_an_identity_is_asked_for_before_the_form_of_an_id(quiet_world):
    assert quiet_world.nobody.get("/v2/x/instances/y/tasks/z").error == UNAUTHENTICATED


def test_an_unknown_call_is_told_to_anybody(quiet_world):
    assert quiet_world.nobody.get("/v2/x/y").error == (404, "DMS.00404001")
    assert quiet_world.nobody.put(quiet_world.tasks_path).error == (405, "DMS.00405001")
