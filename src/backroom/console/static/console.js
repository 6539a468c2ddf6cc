// What HTML can't do by itself: times in the reader's zone, live pages that pause, ticking rows.
"use strict";

const root = document.documentElement;
root.classList.add("scripted");
const words = { dateStyle: "medium", timeStyle: "medium" };
const shown = new Intl.DateTimeFormat(root.lang, words);
const hour = new Intl.DateTimeFormat(root.lang, { hour: "2-digit", hourCycle: "h23" });

function tellTimes(within) {
  for (const time of within.querySelectorAll("time[datetime]:not([title])")) {
    const moment = new Date(time.dateTime);
    time.title = time.dateTime.replace("T", " ").replace("Z", " UTC");
    time.textContent = shown.format(moment);
  }
  for (const wide of within.querySelectorAll(".wide")) wide.scrollLeft = wide.scrollWidth;
  for (const text of within.querySelectorAll("[data-hour]")) {
    text.textContent = hour.format(new Date(text.dataset.hour)).slice(0, 2);
  }
}

// A field of date and time holds UTC when it comes, and is sent as UTC; in between it is local.
// What it came with is kept: local time has no milliseconds here, and one hour of it comes twice.
function localFields(within) {
  for (const field of within.querySelectorAll("input[data-utc]:not([data-utc=told])")) {
    field.dataset.utc = "told";
    if (!field.dataset.moment || !field.value) continue;
    const moment = new Date(field.dataset.moment);
    const here = new Date(moment.getTime() - moment.getTimezoneOffset() * 60000);
    field.value = here.toISOString().slice(0, field.value.length);
    field.dataset.local = field.value;
  }
  for (const note of within.querySelectorAll(".zone[data-of]")) tellZone(note);
}

// Null where nothing, or no time, was typed.
function momentOf(field) {
  if (!field.value) return null;
  const moment = new Date(field.value === field.dataset.local ? field.dataset.moment : field.value);
  return Number.isNaN(moment.getTime()) ? null : moment;
}

// What is typed, in UTC, too.
function tellZone(note) {
  const field = document.getElementById(note.dataset.of);
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const moment = momentOf(field);
  const utc = moment ? moment.toISOString().slice(0, 19).replace("T", " ") : "";
  const text = moment ? note.dataset.told : note.dataset.here;
  note.textContent = text.replace("{zone}", zone).replace("{utc}", utc);
}

document.addEventListener("input", (event) => {
  if (!event.target.matches("input[data-utc]")) return;
  const note = document.querySelector(`.zone[data-of="${event.target.id}"]`);
  if (note) tellZone(note);
});

document.addEventListener("formdata", (event) => {
  const form = event.target;
  for (const field of form.querySelectorAll("input[data-utc]")) {
    const moment = momentOf(field);
    if (moment) event.formData.set(field.name, moment.toISOString());
    else if (!field.value) event.formData.delete(field.name);
  }
  if (form.method === "get") {
    for (const [name, value] of [...event.formData.entries()]) {
      if (value === "") event.formData.delete(name);
    }
  }
});

// Ticking rows
function tell(form) {
  const picked = form.querySelector(".picked");
  if (!picked) return;
  const ticks = [...form.querySelectorAll(".tick input[name=id]")];
  const ticked = ticks.filter((tick) => tick.checked).length;
  picked.classList.toggle("some", ticked > 0);
  const all = form.querySelector("#tick-all");
  all.checked = ticked > 0 && ticked === ticks.length;
  all.indeterminate = ticked > 0 && ticked < ticks.length;
  if (ticked === 0) picked.querySelector("[name=all]").checked = false;
}

document.addEventListener("change", (event) => {
  const form = event.target.closest("#list form");
  if (!form) return;
  if (event.target.id === "tick-all") {
    for (const tick of form.querySelectorAll(".tick input[name=id]")) tick.checked = event.target.checked;
  }
  tell(form);
  refreshSoon();
});

// Live pages: the server says that something changed, and the page looks again; not while the
// reader selects something, has ticked rows, has a dialog open, or looks elsewhere.
const LEAST_MS = 1000;
const SLOW_MS = 10000;
let source = null;
let news = 0;
let lastAt = 0;
let timer = null;

const region = () => document.querySelector(".live-region[data-live]");

function isBusy() {
  const here = region();
  const selection = document.getSelection();
  const selects = selection && !selection.isCollapsed && here.contains(selection.anchorNode);
  const ticked = here.querySelector(".tick input:checked");
  const dialog = document.querySelector("dialog[open]");
  const active = document.activeElement;
  const writes = active && here.contains(active) && active.matches("select, textarea, input:not([type=checkbox])");
  return Boolean(selects || ticked || dialog || writes);
}

function tellLive() {
  const sign = document.querySelector(".live");
  if (!sign || !region()) return;
  const state = !source || source.readyState !== EventSource.OPEN ? "off" : isBusy() ? "paused" : "on";
  if (sign.dataset.is === state) return;
  sign.dataset.is = state;
  sign.textContent = sign.dataset[state];
}

function refreshSoon() {
  tellLive();
  const here = region();
  if (!here || timer !== null || document.hidden) return;
  const again = Number(here.dataset.againS || 0) * 1000;
  if (!news && !again) return;
  const least = here.dataset.slow === undefined ? LEAST_MS : SLOW_MS;
  const delay = Math.max(0, lastAt + (news ? least : Math.max(again, least)) - Date.now());
  timer = setTimeout(() => {
    timer = null;
    if (document.hidden || !region()) return;
    if (isBusy()) { tellLive(); return; }
    news = 0;
    lastAt = Date.now();
    htmx.trigger(region(), "refresh");
  }, delay);
}

function listen() {
  const here = region();
  if (!here || document.hidden || source) return;
  source = new EventSource(here.dataset.live);
  source.onopen = tellLive;
  source.onerror = tellLive;
  source.onmessage = (event) => { news += Number(event.data); refreshSoon(); };
  source.addEventListener("over", () => { source.close(); location.reload(); });
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    if (source) source.close();
    source = null;
  } else if (region()) {
    listen();
    news += 1; // what was missed meanwhile
    refreshSoon();
  }
  tellLive();
});
document.addEventListener("selectionchange", () => { if (region()) refreshSoon(); });
document.addEventListener("focusout", () => { if (region()) setTimeout(refreshSoon, 0); });
addEventListener("pagehide", () => { if (source) source.close(); source = null; });

// A swap keeps what the reader had opened.
let opened = [];
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target.classList.contains("live-region")) {
    opened = [...event.detail.target.querySelectorAll("details[open][id]")].map((one) => one.id);
  }
});
document.addEventListener("htmx:afterSettle", (event) => {
  tellTimes(document);
  localFields(document);
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
  opened = [];
  const dialog = event.detail.target;
  if (dialog && dialog.id === "dialog" && dialog.firstElementChild && !dialog.open) dialog.showModal();
  tellLive();
  refreshSoon();
});
document.addEventListener("click", (event) => {
  const close = event.target.closest("dialog .close");
  if (close) { event.preventDefault(); close.closest("dialog").close(); }
  else if (event.target.matches("dialog")) event.target.close();
});
document.addEventListener("close", () => refreshSoon(), true);

tellTimes(document);
localFields(document);
listen();
refreshSoon();
