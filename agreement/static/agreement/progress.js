/* The page with the progress of a notice: reloads the middle of the page while the numbers change, and counts down the
   notice delay. Without this script the page has a link that reloads it. */
"use strict";
(() => {
    const SECONDS = 3;
    const place = document.getElementById("agreement-sending");

    function count() {
        for (const sign of document.querySelectorAll(".agreement-countdown")) {
            // The site states the remaining seconds, because the clock of the reader may be wrong.
            sign.until ??= Date.now() + sign.dataset.seconds * 1000;
            const left = Math.max(0, Math.ceil((sign.until - Date.now()) / 1000));
            const [hours, minutes, seconds] = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
            const two = (number) => String(number).padStart(2, "0");
            if (!left) {
                // The sentence before the sign states that nothing has been sent.
                sign.parentElement.textContent = sign.dataset.over;
                continue;
            }
            sign.textContent = `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(seconds)}`;
        }
    }

    async function refresh() {
        if (document.hidden) return true;
        const pressed = place.contains(document.activeElement) && document.activeElement.getAttribute("formaction");
        let answer;
        try {
            answer = await fetch(place.dataset.address, {credentials: "same-origin"});
        } catch {
            return true; // The site can't be reached at the moment.
        }
        if (answer.status >= 500) return true; // A proxy answers because the site can't be reached.
        // The user is logged out, or may no longer view the page. It stays as it is; the link reloads it.
        if (!answer.ok || answer.redirected) return false;
        const made = new DOMParser().parseFromString(await answer.text(), "text/html");
        if (place.innerHTML !== made.body.innerHTML) place.replaceChildren(...made.body.childNodes);
        if (pressed) place.querySelector(`[formaction="${pressed}"]`)?.focus();
        count();
        return place.querySelector("[data-running]") !== null;
    }

    count();
    setInterval(count, 1000);
    if (place && place.querySelector("[data-running]")) {
        const timer = setInterval(async () => { if (!await refresh()) clearInterval(timer); }, SECONDS * 1000);
    }
})();
