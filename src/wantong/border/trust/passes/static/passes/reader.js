// A gate's reader: the camera looks for codes, a hand-held scanner types them; the node decides.
import { decodeQR } from "./vendor/qr/decode.js";

const root = document.getElementById("reader");
const form = document.getElementById("reader-form");
const field = document.getElementById("reader-code");
const answer = document.getElementById("reader-answer");
const said = document.getElementById("reader-said");
const video = document.getElementById("reader-video");
const button = document.getElementById("reader-camera");
const LOOK_EVERY = 150; // milliseconds
const SAME_AGAIN = 10000; // the same code held before the camera is decided once
const NO_LONGER = 5000; // for an answer: then the gate is told that there is none
const WIDEST = 960; // pixels: more is slower and reads no better

let last = "";
let when = 0;
let busy = false;

async function decide(code) {
  if (busy) return;
  busy = true;
  answer.replaceChildren(); // what was said of the one before opens nothing for this one
  try {
    const body = new URLSearchParams(new FormData(form));
    body.set("code", code);
    const told = await fetch(form.action, { method: "POST", body, headers: { "X-Requested-With": "fetch", Accept: "text/html" }, signal: AbortSignal.timeout(NO_LONGER) });
    if (!told.ok) throw new Error(told.status);
    const words = await told.text(); // the body too may fail to come
    answer.innerHTML = words;
    said.textContent = "";
  } catch {
    last = ""; // the same code may be held up again at once
    said.textContent = root.dataset.failed;
  } finally {
    busy = false;
    field.value = "";
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  decide(field.value);
});
field.focus();

const canvas = document.createElement("canvas");

function look() {
  if (video.readyState < 2 || busy) return;
  const scale = Math.min(1, WIDEST / video.videoWidth);
  canvas.width = Math.round(video.videoWidth * scale);
  canvas.height = Math.round(video.videoHeight * scale);
  const drawing = canvas.getContext("2d", { willReadFrequently: true });
  drawing.drawImage(video, 0, 0, canvas.width, canvas.height);
  let code;
  try {
    code = decodeQR(drawing.getImageData(0, 0, canvas.width, canvas.height));
  } catch {
    return; // no code in this picture
  }
  const now = performance.now();
  if (code === last && now - when < SAME_AGAIN) return;
  [last, when] = [code, now];
  decide(code);
}

if (navigator.mediaDevices?.getUserMedia) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      await video.play();
    } catch {
      said.textContent = root.dataset.noCamera;
      return;
    }
    video.hidden = false;
    button.hidden = true;
    said.textContent = root.dataset.reading;
    setInterval(look, LOOK_EVERY);
  });
}
