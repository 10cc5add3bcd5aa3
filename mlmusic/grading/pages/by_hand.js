// Saves points and comments as they are typed, and moves from answer to answer.
"use strict";
const STEP = 0.5;
const PAUSE = 700; // ms without a key before what was typed is saved
const cards = [...document.querySelectorAll("[data-card]")].map((element) => ({
  element,
  number: Number(element.dataset.card),
  most: Number(element.dataset.most),
  absent: "absent" in element.dataset, // not answered: 0 points, whether any are given or not
  points: element.querySelector(".points"),
  words: element.querySelector(".words"),
  said: element.querySelector(".said"),
  busy: false,
  failed: false,
  timer: 0,
}));

// NaN for what isn't points, null for none.
function number(text, most = Infinity) {
  if (!text) return null;
  const value = /^(\d{1,9}([.,]\d{0,9})?|[.,]\d{1,9})$/.test(text) ? Number(text.replace(",", ".")) : NaN;
  return value <= most ? value : NaN;
}
const typed = (card) => ({ points: card.points.value.trim(), comment: card.words.value.trim() });
const same = (a, b) => a.comment === b.comment && Object.is(number(a.points), number(b.points));
const changed = (card) => !same(typed(card), card.saved);
for (const card of cards) {
  card.saved = typed(card); // what was typed when it was last saved
  card.file = card.saved; // and what the file made of it
}

function say(card, text, kind) {
  card.said.textContent = text;
  card.said.className = `said ${kind || ""}`;
}

// Whether what the file says are points that count.
const counts = (card) => card.saved.points !== "" && !Number.isNaN(number(card.saved.points, card.most));
const done = (card) => counts(card) || (card.absent && card.saved.points === "");

function progress(list) {
  const absent = list.filter((card) => card.absent && !counts(card)).length;
  const graded = `${list.filter(done).length} of ${list.length} graded`;
  return absent ? `${graded} (${absent} not answered)` : graded;
}

function count() {
  document.getElementById("progress").textContent = progress(cards);
  for (const section of document.querySelectorAll("section")) {
    const mine = cards.filter((card) => section.contains(card.element));
    section.querySelector(".count").textContent = progress(mine);
  }
  for (const card of cards) card.element.classList.toggle("graded", counts(card));
  const open = cards.some(changed);
  const failed = cards.some((card) => card.failed);
  const wrong = cards.some((card) => card.saved.points !== "" && !counts(card));
  const state = document.getElementById("state");
  state.textContent = failed ? "✗ Not everything is saved" : open ? "Saving …" :
    wrong ? "✗ overrides.csv has points that don’t count" : "✓ All saved";
  state.className = failed || wrong && !open ? "none" : open ? "quiet" : "full";
}

async function send(path, body) {
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (answer.headers.get("Content-Type").startsWith("application/json")) {
      return { status: answer.status, ...(await answer.json()) };
    }
    return { status: answer.status, error: "this page is out of date: open the address again" };
  } catch {
    return { status: 0, error: "no answer: does `mlmusic grade` still run?" };
  }
}

async function save(card) {
  clearTimeout(card.timer);
  if (card.busy) return; // when it comes back it looks again
  const entry = typed(card);
  if (!changed(card)) {
    if (card.failed) say(card, "", "");
    card.failed = false;
    card.points.removeAttribute("aria-invalid");
    count();
    return;
  }
  if (Number.isNaN(number(entry.points, card.most))) {
    card.failed = true;
    card.points.setAttribute("aria-invalid", "true");
    say(card, `✗ Not saved: points are a number from 0 to ${card.most}`, "none");
    count();
    return;
  }
  card.points.removeAttribute("aria-invalid");
  card.busy = true;
  say(card, "Saving …", "quiet");
  count();
  const answer = await send("save", { card: card.number, entry, before: card.file });
  card.busy = false;
  card.failed = answer.status !== 200;
  if (answer.status === 200) {
    card.saved = entry;
    card.file = answer.now;
    if (!changed(card)) say(card, "✓ Saved", "full");
  } else if (answer.status === 409) {
    conflict(card, answer.now);
  } else {
    say(card, `✗ Not saved: ${answer.error}`, "none");
  }
  count();
  if (!card.failed && changed(card)) save(card);
}

function conflict(card, now) {
  const theirs = now.points === "" && now.comment === "" ? "nothing any more" :
    `${now.points === "" ? "no points" : `${now.points} points`}${now.comment && `, “${now.comment}”`}`;
  say(card, `✗ Not saved: overrides.csv was changed meanwhile and says ${theirs}. `, "none");
  const choose = (label, action) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.addEventListener("click", () => {
      card.saved = card.file = now;
      card.failed = false;
      action();
      card.points.focus();
      save(card);
    });
    card.said.append(button, " ");
  };
  choose("Keep what I typed", () => {});
  choose("Take what the file says", () => {
    card.points.value = now.points;
    card.words.value = now.comment;
  });
}

function go(card, by) {
  save(card);
  const shown = cards.filter(
    ({ element }) => !element.hidden && !element.closest("details:not([open]), [hidden]"));
  const next = shown[shown.indexOf(card) + by];
  if (!next) return;
  next.points.focus({ preventScroll: true });
  next.points.select();
  next.element.scrollIntoView({ block: "start" });
}

for (const card of cards) {
  for (const box of [card.points, card.words]) {
    box.addEventListener("input", () => {
      clearTimeout(card.timer);
      card.timer = setTimeout(save, PAUSE, card);
      count();
    });
    box.addEventListener("change", () => save(card));
  }
  card.points.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      go(card, event.shiftKey ? -1 : 1);
    } else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      event.preventDefault();
      const step = event.key === "ArrowUp" ? STEP : -STEP;
      const sum = (number(card.points.value.trim()) || 0) + step;
      card.points.value = String(Math.min(card.most, Math.max(0, sum)));
      card.points.dispatchEvent(new Event("input"));
    }
  });
  card.words.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      go(card, event.shiftKey ? -1 : 1);
    }
  });
}

// What was graded stays in sight until the box is ticked again: nothing jumps while one types.
const only = document.getElementById("only");
only.addEventListener("change", () => {
  for (const card of cards) card.element.hidden = only.checked && done(card);
  for (const each of document.querySelectorAll(".absent")) {
    each.hidden = only.checked && [...each.querySelectorAll("[data-card]")].every((e) => e.hidden);
  }
});

const renew = document.getElementById("renew");
renew?.addEventListener("click", async () => {
  const said = document.getElementById("renewed");
  renew.disabled = true;
  said.textContent = "One moment …";
  const answer = await send("renew", {});
  said.textContent = answer.message || answer.error;
  renew.disabled = false;
});

// Pictures and players come when their card comes near: 300 of them at once are too much.
const near = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    near.unobserve(entry.target);
    load(entry.target);
  }
}, { rootMargin: "1200px" });

async function load(place) {
  const number = place.closest("[data-card]").dataset.card;
  try {
    const answer = await fetch(`outputs/${number}`);
    if (!answer.ok) throw new Error(answer.statusText);
    place.innerHTML = await answer.text(); // sanitized by the server; the policy forbids scripts
  } catch {
    place.textContent = "What the notebook showed could not be loaded.";
  }
}
for (const place of document.querySelectorAll("[data-load]")) near.observe(place);

addEventListener("beforeunload", (event) => {
  if (cards.some(changed)) event.preventDefault();
});
for (const card of cards) {
  if (card.saved.points === "" || counts(card)) continue;
  card.points.setAttribute("aria-invalid", "true");
  const most = `${card.most} at most`;
  say(card, `✗ overrides.csv says ${card.saved.points} points, and there are ${most}: mend it here`, "none");
}
count();
