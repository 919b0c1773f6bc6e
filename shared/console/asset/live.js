"use strict";
// The rows of a list are fetched again every few seconds, while the page is visible and not paused.
// Without this script the page shows them as they were.
(function () {
  const bar = document.getElementById("live");
  const rows = document.getElementById("rows");
  const pause = document.getElementById("pause");
  const status = document.getElementById("livestatus");
  const pages = document.getElementById("pages");
  let timer = 0;
  let asking = false;
  let last = ""; // the rows as the server sent them; those of the page have local dates already

  const ids = (within) => Array.from(within.querySelectorAll("tr[id]"), (row) => row.id);
  const isRead = () => { // a person marks something in the rows, or is on a link in them
    const selection = getSelection();
    const table = rows.querySelector("table");
    return table && table.contains(document.activeElement) ||
      !selection.isCollapsed && rows.contains(selection.anchorNode);
  };

  function stop(sentence) {
    clearInterval(timer);
    timer = 0;
    pause.hidden = true;
    status.textContent = sentence;
  }

  async function refresh() {
    if (asking || document.hidden || isRead()) {
      return;
    }
    let page = null;
    asking = true;
    try {
      const answer = await fetch(location.href, {cache: "no-store", redirect: "error"});
      if (!answer.ok) {
        throw new Error(answer.status);
      }
      page = new DOMParser().parseFromString(await answer.text(), "text/html");
    } catch {
      // the sentence below says it
    }
    asking = false;
    const found = page && page.getElementById("rows");
    if (!timer) {
      return; // paused meanwhile
    }
    if (!found) {
      stop(bar.dataset.failed);
      return;
    }
    if (found.innerHTML === last || isRead()) {
      return;
    }
    last = found.innerHTML;
    const known = new Set(ids(rows));
    const added = ids(found).filter((id) => !known.has(id)).length;
    const scroll = rows.querySelector(".scroll");
    const fresh = found.querySelector(".scroll");
    localDates(found);
    if (scroll && fresh) { // which keeps its focus and its place
      scroll.replaceChildren(...fresh.childNodes);
    } else {
      rows.replaceChildren(...found.childNodes);
    }
    pages.replaceChildren(...page.getElementById("pages").childNodes);
    if (added) {
      status.textContent = bar.dataset.added.replace("%d", added);
    }
  }

  function start() {
    timer = setInterval(refresh, 5000);
  }

  pause.addEventListener("click", () => {
    const paused = timer !== 0;
    pause.setAttribute("aria-pressed", paused);
    status.textContent = "";
    if (paused) {
      clearInterval(timer);
      timer = 0;
    } else {
      start();
      refresh();
    }
  });
  document.addEventListener("visibilitychange", () => {
    if (timer) {
      refresh();
    }
  });
  bar.hidden = false;
  start();
})();
