// Lets a space be put on a phone's home screen. Everything works without it.
"use strict";
if ("serviceWorker" in navigator) navigator.serviceWorker.register("/space-worker.js", {scope: "/"}).catch(() => {});
