"use strict";
// A button behind each text that is pasted elsewhere. Without this script the text can be selected.
(function () {
  const status = document.getElementById("copied");
  if (!status || !navigator.clipboard) { // a browser has it only with HTTPS, and for this machine
    return;
  }
  for (const text of document.querySelectorAll("code[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = status.dataset.copy;
    button.setAttribute("aria-label", status.dataset.copy + " " + text.textContent);
    button.addEventListener("click", async () => {
      status.textContent = ""; // so that a second copy is read out, too
      let sentence = status.dataset.copied.replace("%s", () => text.textContent);
      try {
        await navigator.clipboard.writeText(text.textContent);
      } catch {
        getSelection().selectAllChildren(text);
        sentence = status.dataset.failed;
      }
      status.textContent = sentence;
    });
    text.after(button);
  }
})();
