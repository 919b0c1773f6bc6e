"use strict";
// Dates in the zone of the reader; without this script they are in UTC.
function localDates(within) {
  for (const element of within.querySelectorAll("time[datetime]")) {
    const date = new Date(element.dateTime);
    if (!isNaN(date)) {
      element.title = element.textContent;
      element.textContent = date.toLocaleString(document.documentElement.lang, {
        year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
        hour12: false,
      });
    }
  }
}
localDates(document);
// The button Back may show a page as it was, without asking the service: the session may be over.
addEventListener("pageshow", (event) => {
  if (event.persisted) {
    location.reload();
  }
});
