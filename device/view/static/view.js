"use strict";

// One WebSocket brings everything. A message is a line of JSON, then nothing or a byte that tells how many images the
// model saw, 784 gray bytes for each, and a JPEG. The next message comes only after "next" was sent, so a slow device
// gets fewer pictures, not late ones.

const SIDE = 28;
const SILENT_MS = 4000;  // The server says something each second.
const RETRY_MS = 1000;
const byId = (id) => document.getElementById(id);
const decoder = new TextDecoder();
const rows = new Map();
let socket = null;
let heardMs = 0;

function connect() {
  if (socket || document.hidden) return;
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const opened = socket = new WebSocket(`${scheme}://${location.host}/live`);
  opened.binaryType = "arraybuffer";
  heardMs = Date.now();
  opened.onmessage = async (event) => {
    heardMs = Date.now();
    await show(new Uint8Array(event.data));
    if (opened.readyState === WebSocket.OPEN) opened.send("next");
  };
  opened.onclose = () => {
    if (socket === opened) socket = null;
    if (!document.hidden) lost();
  };
}

function lost() {
  state("lost", "not connected", "The program has ended or cannot be reached. Trying again …");
}

// A hidden page looks at nothing, so it must not cost the board anything.
document.addEventListener("visibilitychange", () => {
  if (document.hidden && socket) socket.close();
  else connect();
});
setInterval(() => {
  if (socket && Date.now() - heardMs > SILENT_MS) {
    socket.close();
    socket = null;
    lost();
  }
  connect();
}, RETRY_MS);
connect();

async function show(bytes) {
  const end = bytes.indexOf(10);
  const news = JSON.parse(decoder.decode(bytes.subarray(0, end)));
  const pictures = bytes.subarray(end + 1);
  if (pictures.length) {
    // Decode first: then all that is drawn below appears at once.
    const seenEnd = 1 + pictures[0] * SIDE * SIDE;
    const jpeg = new Blob([pictures.subarray(seenEnd)], { type: "image/jpeg" });
    drawPicture(await createImageBitmap(jpeg));
    drawSeen(pictures.subarray(1, seenEnd), pictures[0]);
  }
  text("source", `${news.source} · model ${news.model}`);
  showAnswer(news);
  showScores(news);
  showLatency(news);
  if (news.stale) {
    // One text for the whole gap: a screen reader would read out every change.
    if (document.body.dataset.state !== "stale") {
      const since = new Date(Date.now() - 1000 * news.age_s).toLocaleTimeString();
      state("stale", "no frames", `No frame since ${since}. Is the camera connected?`);
    }
  } else if (news.scores) {
    state("live", "live", "");
  } else {
    state("connecting", "waiting for a frame", "");
  }
}

function state(name, status, notice) {
  document.body.dataset.state = name;
  text("status", status);
  text("notice", notice);
}

function text(id, value) {
  const element = byId(id);
  if (element.textContent !== value) element.textContent = value;  // Unchanged text is not read out again.
}

function drawPicture(image) {
  const canvas = byId("picture");
  if (canvas.width !== image.width || canvas.height !== image.height) {
    canvas.width = image.width;
    canvas.height = image.height;
  }
  canvas.getContext("2d").drawImage(image, 0, 0);
  image.close();
}

function drawSeen(gray, count) {
  const canvas = byId("seen");
  const width = count * (SIDE + 1) - 1;  // A line between them.
  if (canvas.width !== width) canvas.width = width;
  const context = canvas.getContext("2d");
  for (let n = 0; n < count; n++) {
    const image = context.createImageData(SIDE, SIDE);
    const one = gray.subarray(n * SIDE * SIDE, (n + 1) * SIDE * SIDE);
    one.forEach((value, i) => image.data.set([value, value, value, 255], 4 * i));
    context.putImageData(image, n * (SIDE + 1), 0);
  }
}

const percent = (share) => `${Math.round(100 * share)} %`;

function showAnswer(news) {
  if (!news.scores) return;
  const unsure = !(news.label in news.scores);
  document.body.dataset.answer = unsure ? "unsure" : "label";
  document.title = `${news.label} · garmentcam`;
  text("label", news.label);
  // The answer is smoothed over frames, so for a moment it may not be what this frame alone would say.
  const agreed = news.best === news.label;
  text("confidence", agreed ? percent(news.scores[news.best]) : "");
  const parts = [];
  if (news.garment < 0.5) parts.push("probably none of the ten");
  else if (!agreed) parts.push(`${unsure ? "maybe" : "now"} ${news.best} ${percent(news.scores[news.best])}`);
  if (news.truth) parts.push(`truth: ${news.truth}`);
  text("detail", parts.join(" · "));
}

function showScores(news) {
  if (!news.scores) return;
  for (const [label, score] of Object.entries(news.scores)) {
    const row = rows.get(label) || addRow(label);
    row.item.classList.toggle("best", label === news.best);
    row.bar.style.transform = `scaleX(${score})`;
    row.value.textContent = percent(score);
  }
  text("garment", `One of these ten at all: ${percent(news.garment)}`);
}

function addRow(label) {
  const part = (className, content = "") => {
    const element = document.createElement("span");
    element.className = className;
    element.textContent = content;
    return element;
  };
  const row = { item: document.createElement("li"), bar: part("bar"), value: part("value") };
  const track = part("track");
  track.append(row.bar);
  row.item.append(part("name", label), track, row.value);
  byId("scores").append(row.item);
  rows.set(label, row);
  return row;
}

const milliseconds = (us) => `${(us / 1000).toFixed(us < 9950 ? 2 : 1)} ms`;

function showLatency(news) {
  const values = news.latencies_us;
  const top = Math.max(1, ...values) * 1.1;
  const y = (us) => (60 * (1 - us / top)).toFixed(1);
  const step = 300 / Math.max(1, values.length - 1);
  byId("spark-line").setAttribute("points", values.map((us, i) => `${(i * step).toFixed(1)},${y(us)}`).join(" "));
  for (const name of ["p50", "p99"]) {
    const us = news[`${name}_us`];
    const line = byId(`spark-${name}`);
    line.toggleAttribute("hidden", us === null);
    if (us !== null) {
      line.setAttribute("y1", y(us));
      line.setAttribute("y2", y(us));
    }
    text(name, us === null ? "–" : milliseconds(us));
  }
  text("spark-top", values.length ? `${values.length} frames, max ${milliseconds(Math.max(...values))}` : "");
  text("rate", news.rate_hz === null || news.stale ? "–" : `${news.rate_hz.toFixed(1)} /s`);
  const all = news.skipped + news.answered;
  text("skipped", news.skipped ? `${news.skipped} (${((100 * news.skipped) / all).toFixed(1)} %)` : "0");
  byId("temperature-row").hidden = news.temperature_c === null;
  if (news.temperature_c !== null) text("temperature", `${news.temperature_c.toFixed(0)} °C`);
}
