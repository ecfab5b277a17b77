// Counts down to the time of each element that has one.
function pad(number) {
  return String(number).padStart(2, "0");
}
function count() {
  for (const element of document.querySelectorAll("[data-until]")) {
    const left = Math.max(0, Math.floor((new Date(element.dataset.until) - Date.now()) / 1000));
    element.textContent = `${pad(Math.floor(left / 3600))}:${pad(Math.floor(left / 60) % 60)}:${pad(left % 60)}`;
  }
}
count();
setInterval(count, 1000);
document.addEventListener("htmx:load", count);
