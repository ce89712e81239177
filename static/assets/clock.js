// Requests the time from the service a few times a second, and shows which replica answered.

/** Milliseconds between two requests, and the timeout of one. */
const PERIOD = 400;
const PATIENCE = 5000;
/** The longest pause between two requests without an answer. */
const LONGEST_WAIT = 5000;
/** Answers that the bars show. */
const RECENT = 60;
/** Rounds of answers without one replica, until it counts as quiet, and as gone. A round is an answer for each replica. */
const [QUIET_ROUNDS, GONE_ROUNDS] = [2, 4];
/** The fewest answers of a round. */
const FEWEST = 4;
/** Replicas that are gone, and events, that are still shown. */
const MOST_GONE = 4;
const MOST_EVENTS = 6;
const HUES = 8;
const UNNAMED = "replica not named";

const $ = id => document.getElementById(id);
const clockTime = () => new Date().toLocaleTimeString([], { hourCycle: "h23" });

/** By name, in the order of their first answers. */
const replicas = new Map();
/** The replicas of the latest answers. */
const recent = [];
let hues = 0;
let failures = 0;
let since = "";
let paused = false;
let asking = false;
let next = 0;

const marks = Array.from({ length: 60 }, (_, second) => {
  const mark = document.createElementNS("http://www.w3.org/2000/svg", "line");
  mark.setAttribute("y1", second % 5 ? -97 : -91);
  mark.setAttribute("y2", -104);
  mark.setAttribute("transform", `rotate(${second * 6})`);
  $("marks").append(mark);
  return mark;
});

/** One request at a time. Without an answer the pauses grow. A hidden page sends none. */
async function ask() {
  clearTimeout(next);
  if (asking || paused || document.hidden) return;
  asking = true;
  const start = performance.now();
  const show = await question(start);
  asking = false;
  if (!paused) show();
  next = setTimeout(ask, failures ? wait() : PERIOD - (performance.now() - start));
}

/** Sends a request, and returns a function that shows the answer. */
async function question(start) {
  try {
    const answer = await fetch("/", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    const text = await answer.text();
    const took = performance.now() - start;
    if (answer.status === 200) return () => told(text, answer.headers.get("X-Served-By") ?? UNNAMED, took);
    const status = `${answer.status} ${answer.statusText}`.trim();
    // A proxy that reaches no service.
    const absent = [502, 503, 504].includes(answer.status);
    return () => failed(absent ? `The service can’t be reached (${status})` : `The service answers ${status}`);
  } catch {
    return () => failed("The service can’t be reached (no answer)");
  }
}

const wait = () => Math.min(PERIOD * 2 ** failures, LONGEST_WAIT);

function told(text, name, took) {
  if (failures) happened(`The service answers again, after ${failures} failed ${failures === 1 ? "attempt" : "attempts"}`);
  failures = 0;
  const replica = replicas.get(name) ?? arrived(name);
  recent.push(replica);
  if (recent.length > RECENT) recent.shift();
  replica.total += 1;
  for (const each of replicas.values()) each.missed += 1;
  replica.missed = 0;

  showTime(text, replica);
  $("replica").textContent = name;
  $("replica").dataset.hue = replica.hue;
  $("took").textContent = `in ${Math.max(1, Math.round(took))} ms`;
  show();
}

function failed(what) {
  failures += 1;
  if (failures === 1) {
    since = clockTime();
    happened(what);
  }
  $("trouble").textContent = `${what} since ${since}. Next attempt in ${Math.round(wait() / 100) / 10} s.`;
  marks[new Date().getSeconds()].dataset.hue = "failed";
  show();
}

function arrived(name) {
  const row = $("row").content.firstElementChild.cloneNode(true);
  const replica = { name, row, hue: hues++ % HUES, total: 0, missed: 0, state: "" };
  row.dataset.hue = replica.hue;
  row.querySelector(".name").textContent = name;
  $("rows").append(row);
  replicas.set(name, replica);
  return replica;
}

/** Parses `Sun Nov 22 05:29:04 2026`. Any other answer is shown unchanged. */
function showTime(text, replica) {
  const [, day, time, year] = text.match(/^(\w+ \w+ +\d+) (\d\d:\d\d:\d\d) (\d+)$/) ?? [];
  $("time").textContent = time ?? text;
  $("time").classList.toggle("long", !time);
  $("date").textContent = time ? `${day} ${year}` : "";
  $("hands").classList.toggle("hidden", !time);
  if (!time) return;
  const [hour, minute, second] = time.split(":").map(Number);
  $("hour").setAttribute("transform", `rotate(${hour * 30 + minute / 2})`);
  $("minute").setAttribute("transform", `rotate(${minute * 6 + second / 10})`);
  $("second").setAttribute("transform", `rotate(${second * 6})`);
  marks[second].dataset.hue = replica.hue;
}

function show() {
  const state = paused ? "paused" : failures ? "trouble" : replicas.size ? "live" : "waiting";
  document.body.dataset.state = state;
  $("state").textContent = state === "trouble" ? "no answer" : state;
  $("trouble").hidden = failures === 0;
  const here = [...replicas.values()].filter(replica => replica.state !== "gone").length;
  const most = Math.max(...recent.map(countOf));
  for (const replica of replicas.values()) {
    enter(replica, stateOf(replica, here));
    const count = countOf(replica);
    replica.row.querySelector(".bar").style.setProperty("--share", count / most);
    replica.row.querySelector(".recent").textContent = count;
    replica.row.querySelector(".total").textContent = replica.total;
  }
  const victim = [...replicas.values()].find(replica => replica.state === "answers");
  if (victim && victim.name !== UNNAMED) $("victim").textContent = victim.name;
  const gone = [...replicas.values()].filter(replica => replica.state === "gone");
  gone.sort((a, b) => b.missed - a.missed);
  for (const replica of gone.slice(0, -MOST_GONE)) {
    replica.row.remove();
    replicas.delete(replica.name);
  }
}

const countOf = replica => recent.filter(each => each === replica).length;

function stateOf(replica, here) {
  if (replica.missed > GONE_ROUNDS * Math.max(here, FEWEST)) return "gone";
  if (failures || replica.missed > QUIET_ROUNDS * Math.max(here, FEWEST)) return "quiet";
  return "answers";
}

function enter(replica, state) {
  if (replica.state === state) return;
  const news = { answers: ["", "gone"].includes(replica.state) && "answers", gone: "is gone" }[state];
  replica.state = state;
  replica.row.dataset.state = state;
  replica.row.querySelector(".is").textContent = state;
  if (news) happened(`${replica.name} ${news}`);
}

function happened(what) {
  const event = document.createElement("li");
  const time = document.createElement("time");
  time.textContent = clockTime();
  event.append(time, what);
  $("events").prepend(event);
  while ($("events").children.length > MOST_EVENTS) $("events").lastElementChild.remove();
}

$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").textContent = paused ? "Resume" : "Pause";
  show();
  ask();
});

document.addEventListener("visibilitychange", ask);

ask();
