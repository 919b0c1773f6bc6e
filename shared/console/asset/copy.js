"use strict";
// A button behind each text that is pasted elsewhere. Without this script the text can be selected.
// A secret has a name in its data-copy, so that it is not read out.
(function () {
  const status = document.getElementById("copied");
  if (!status || !navigator.clipboard) { // a browser has it only with HTTPS, and for this machine
    return;
  }
  for (const text of document.querySelectorAll("code[data-copy]")) {
    const name = text.dataset.copy || text.textContent;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = status.dataset.copy;
    button.setAttribute("aria-label", status.dataset.copy + " " + name);
    button.addEventListener("click", async () => {
      status.textContent = ""; // so that a second copy is read out, too
      let sentence = status.dataset.copied.replace("%s", () => name);
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
