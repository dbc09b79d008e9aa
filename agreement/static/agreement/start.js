/* The page that starts a draft: who chooses a file or an edition also chooses to start with it. */
"use strict";
for (const fields of document.querySelectorAll("[data-choice]")) {
    fields.addEventListener("change", () => { document.getElementById(fields.dataset.choice).checked = true; });
}
