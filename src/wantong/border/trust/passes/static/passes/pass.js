// A pass on a phone: online a code from the node, renewed before it dies; without a connection one made here, by a key
// that never leaves this device. What is signed, byte by byte: docs/decisions/passes.md.
import encodeQR from "./vendor/qr/index.js";

const root = document.getElementById("pass");
const about = root.dataset;
const picture = document.getElementById("pass-code");
const left = document.getElementById("pass-left");
const bar = document.getElementById("pass-bar");
const said = document.getElementById("pass-said");
const token = root.querySelector("[name=csrfmiddlewaretoken]").value;
const RENEW_BEFORE = 5000; // before a code dies
const SHOW_EVERY = 15000; // an offline code is signed anew
const FETCH_EVERY = 240000; // an offline pass, while there is a connection

let mode = "online";
let dies = 0; // by performance.now(): the node's clock decides, not this device's
let renewing = false;

// --- speaking with the node -------------------------------------------------------------------------------------

async function post(address, fields) {
  const body = new URLSearchParams({ csrfmiddlewaretoken: token, ...fields });
  const answer = await fetch(address, { method: "POST", body, headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(answer.status);
  return answer.json();
}

const say = (text) => { if (said.textContent !== text) said.textContent = text; };

function show(source, milliseconds) {
  picture.src = source;
  picture.hidden = false;
  dies = performance.now() + milliseconds;
  bar.max = milliseconds / 1000;
  bar.hidden = false;
  count();
}

function count() {
  const seconds = Math.max(0, Math.ceil((dies - performance.now()) / 1000));
  left.textContent = about.left.replace("{}", seconds);
  bar.value = seconds;
  return seconds;
}

function blank() {
  picture.hidden = bar.hidden = true;
  picture.removeAttribute("src");
  left.textContent = "";
}

async function renew() {
  if (renewing || document.hidden) return;
  renewing = true;
  try {
    if (mode === "online") {
      const told = await post(about.code, {});
      show(told.picture, Date.parse(told.expires) - Date.parse(told.now));
      say(about.saidOnline);
    } else await sign();
  } catch (error) {
    await without(error);
  } finally {
    renewing = false;
  }
}

// The node cannot be reached, or refuses: what this device holds may do; a dead code is never left standing.
async function without(error) {
  const refused = /^4/.test(error.message);
  if (mode === "online" && !refused) {
    try {
      await sign();
      return;
    } catch { /* nothing is held */ }
  }
  if (performance.now() >= dies) blank();
  say(refused ? about.saidFailed : about.saidNone);
}

// --- a code made here -------------------------------------------------------------------------------------------

const store = (kind, work) => new Promise((resolve, reject) => {
  const opening = indexedDB.open("wantong-passes", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("kept");
  opening.onerror = () => reject(opening.error);
  opening.onsuccess = () => {
    const asked = work(opening.result.transaction("kept", kind).objectStore("kept"));
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  };
});
const kept = (name) => store("readonly", (all) => all.get(name));
const keep = (name, value) => store("readwrite", (all) => all.put(value, name));

const text64 = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)));
const bytes64 = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const ES256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

async function device() {
  const known = await kept(`device ${about.enrolment}`);
  if (known) return known;
  const pair = await crypto.subtle.generateKey(ES256, false, ["sign"]);
  const proof = await crypto.subtle.sign(ES256, pair.privateKey, new TextEncoder().encode(about.enrolment));
  const told = await post(about.devices, {
    public: text64(await crypto.subtle.exportKey("spki", pair.publicKey)),
    proof: text64(proof),
    label: navigator.userAgentData?.platform || navigator.platform || "",
  });
  const made = { id: told.device, key: pair.privateKey };
  await keep(`device ${about.enrolment}`, made);
  return made;
}

async function fetchPass() {
  const { id } = await device();
  const told = await post(about.offline, { device: id });
  const good = Date.parse(told.expires) - Date.parse(told.now);
  await keep(`pass ${about.right}`, { bytes: bytes64(told.pass), until: Date.now() + good });
  say(about.saidReady);
  document.getElementById("pass-local").hidden = false;
}

const head = (major, length) =>
  length < 24 ? [major | length] : length < 256 ? [major | 24, length] : [major | 25, length >> 8, length & 255];
const byteString = (bytes) => [...head(0x40, bytes.length), ...bytes];

// COSE_Sign1 { alg: ES256, kcwt: the pass } over { iat: now }
async function sign() {
  const [held, { key }] = [await kept(`pass ${about.right}`), await device()];
  if (!held || held.until <= Date.now()) throw new Error("none");
  const now = Math.floor(Date.now() / 1000);
  const header = byteString([0xa2, 0x01, 0x26, 0x0d, ...held.bytes]);
  const payload = byteString([0xa1, 0x06, 0x1a, now >>> 24, (now >>> 16) & 255, (now >>> 8) & 255, now & 255]);
  const context = new TextEncoder().encode("Signature1");
  const toSign = Uint8Array.from([0x84, 0x60 | context.length, ...context, ...header, 0x40, ...payload]);
  const signature = new Uint8Array(await crypto.subtle.sign(ES256, key, toSign));
  const code = "WT1:" + base45([0x84, ...header, 0xa0, ...payload, ...byteString(signature)]);
  const drawn = encodeQR(code, "svg", { ecc: "low", encoding: "alphanumeric", border: 3 });
  show("data:image/svg+xml;base64," + btoa(drawn), Math.min(SHOW_EVERY + RENEW_BEFORE, held.until - Date.now()));
  say(about.saidOffline);
}

function base45(bytes) {
  const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
  let text = "";
  for (let at = 0; at < bytes.length; at += 2) {
    const pair = at + 1 < bytes.length;
    const value = pair ? bytes[at] * 256 + bytes[at + 1] : bytes[at];
    text += letters[value % 45] + letters[Math.floor(value / 45) % 45] + (pair ? letters[Math.floor(value / 2025)] : "");
  }
  return text;
}

// --- the page ---------------------------------------------------------------------------------------------------

function tick() {
  if (document.hidden) return;
  if (!picture.hidden && count() === 0) blank();
  if (dies - performance.now() < RENEW_BEFORE) renew();
}

root.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  mode = "online";
  renew();
});
const failed = () => say(about.saidFailed);
const enrol = document.getElementById("pass-enrol");
const local = document.getElementById("pass-local");
if (window.isSecureContext && window.indexedDB) {
  enrol.hidden = false;
  enrol.addEventListener("click", () => fetchPass().catch(failed));
  local.addEventListener("click", () => { mode = "offline"; renew(); });
  kept(`pass ${about.right}`).then((held) => {
    if (!held) return;
    local.hidden = false;
    fetchPass().catch(() => {});
    setInterval(() => fetchPass().catch(() => {}), FETCH_EVERY);
  }, () => {});
}
document.addEventListener("visibilitychange", () => { if (!document.hidden) tick(); });
navigator.wakeLock?.request("screen").catch(() => {});
setInterval(tick, 1000);
renew();
