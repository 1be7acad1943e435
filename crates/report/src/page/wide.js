"use strict";
// A table that is wider than its box says so.
const boxes = document.querySelectorAll(".scroll");
const look = () => boxes.forEach((box) => box.classList.toggle("wide", box.scrollWidth > box.clientWidth + 1));
addEventListener("resize", look);
document.addEventListener("toggle", look, true);
look();
