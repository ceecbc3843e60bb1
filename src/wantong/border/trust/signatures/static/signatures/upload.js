// A form with `data-upload` shows how much of its files has been sent. Without this script it is sent as any other.
"use strict";
for (const form of document.querySelectorAll("form[data-upload]")) {
  const shown = form.querySelector("progress");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const button = form.querySelector("button[type=submit]");
    const request = new XMLHttpRequest();
    button.disabled = true;
    shown.parentElement.hidden = false;
    request.upload.addEventListener("progress", (sent) => {
      if (sent.lengthComputable) {
        shown.max = sent.total;
        shown.value = sent.loaded;
      }
    });
    // everything has arrived: now the document is read, which takes as long as it takes
    request.upload.addEventListener("load", () => shown.removeAttribute("value"));
    request.addEventListener("load", () => {
      const page = new DOMParser().parseFromString(request.responseText, "text/html");
      const address = request.responseURL || form.action;
      if (address !== form.action) {
        window.location.assign(address);
        return;
      }
      document.title = page.title;
      document.querySelector("main").replaceWith(page.querySelector("main"));
      const main = document.querySelector("main");
      main.focus();
      window.scrollTo(0, 0);
    });
    request.addEventListener("error", () => form.submit());
    request.open("POST", form.action);
    request.send(new FormData(form));
  });
}
