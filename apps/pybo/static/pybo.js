// Comforts only: every page works without this file.
"use strict";

// A time of the server becomes a time of the reader: "3 hours ago", and in full on hovering.
const steps = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60]];
const ago = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

for (const time of document.querySelectorAll("time[datetime]")) {
  const when = new Date(time.dateTime);
  const seconds = (when - Date.now()) / 1000;
  const step = steps.find(([, size]) => Math.abs(seconds) >= size);
  time.title = when.toLocaleString();
  time.textContent = step ? ago.format(Math.trunc(seconds / step[1]), step[0]) : "just now";
}

// How much room is left, once it becomes scarce.
for (const area of document.querySelectorAll("textarea[maxlength]")) {
  const remaining = document.createElement("p");
  remaining.className = "remaining";
  remaining.setAttribute("aria-live", "polite");
  area.after(remaining);
  area.addEventListener("input", () => {
    const left = area.maxLength - area.value.length;
    remaining.textContent = left < 500 ? `${left} characters left` : "";
  });
}

// A form is sent once, however often its button is pressed; coming back to the page frees it.
for (const form of document.querySelectorAll('form[method="post"]')) {
  form.addEventListener("submit", () => {
    for (const button of form.querySelectorAll("button")) button.disabled = true;
  });
}
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button:disabled")) button.disabled = false;
});
