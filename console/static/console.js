// Parts of a page that wait for something ask again at each tick; none passes while the page is hidden.
setInterval(() => {
  if (!document.hidden) document.body.dispatchEvent(new Event("tick"));
}, 2000);

// A narrow screen shows a part of a picture: the one where the execution is.
function showPlace() {
  for (const picture of document.querySelectorAll(".picture")) {
    const place = picture.querySelector(".last");
    if (!place || picture.scrollWidth <= picture.clientWidth) continue;
    const box = place.getBoundingClientRect();
    picture.scrollLeft += box.left + box.width / 2 - picture.getBoundingClientRect().left - picture.clientWidth / 2;
  }
}
showPlace();
document.addEventListener("htmx:load", showPlace);
