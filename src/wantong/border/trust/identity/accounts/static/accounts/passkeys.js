// Passkeys: asks the node for options, the browser for a credential, and sends it in the form of the page.
// <form data-passkey="sign-in|staff|register|add" data-options="address of options"> with an input "credential".
"use strict";

(() => {
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  const named = (list) => (list || []).map((one) => ({ ...one, id: bytes(one.id) }));

  async function ask(options, create) {
    const publicKey = { ...options, challenge: bytes(options.challenge) };
    if (create) {
      publicKey.user = { ...options.user, id: bytes(options.user.id) };
      publicKey.excludeCredentials = named(options.excludeCredentials);
      return navigator.credentials.create({ publicKey });
    }
    publicKey.allowCredentials = named(options.allowCredentials);
    return navigator.credentials.get({ publicKey });
  }

  function written(credential) {
    const response = { clientDataJSON: text(credential.response.clientDataJSON) };
    for (const part of ["attestationObject", "authenticatorData", "signature", "userHandle"])
      if (credential.response[part]) response[part] = text(credential.response[part]);
    if (credential.response.getTransports) response.transports = credential.response.getTransports();
    return JSON.stringify({
      id: credential.id,
      rawId: text(credential.rawId),
      type: credential.type,
      clientExtensionResults: credential.getClientExtensionResults(),
      response,
    });
  }

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    const failed = form.querySelector("[data-failed]");
    const button = form.querySelector("button[type=submit]");
    if (!window.PublicKeyCredential) {
      form.querySelector("[data-none]").hidden = false;
      button.disabled = true;
      continue;
    }
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      failed.hidden = true;
      button.disabled = true;
      try {
        const answer = await fetch(form.dataset.options, { method: "POST", body: new FormData(form) });
        if (!answer.ok) throw new Error(answer.status);
        const create = form.dataset.passkey === "register" || form.dataset.passkey === "add";
        form.elements.credential.value = written(await ask(await answer.json(), create));
        form.submit();
      } catch {
        failed.hidden = false;
        button.disabled = false;
        failed.focus();
      }
    });
  }
})();
