/* The page that combines the texts of two authors: answers are not lost by a login page or by leaving. */
"use strict";
(() => {
    const form = document.querySelector(".agreement-combine");
    if (!form) return;
    const stored = form.querySelector("[data-offline]");
    let sure = false, saving = false;
    async function ask(again) {
        const fields = new FormData();
        fields.set("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
        const answer = await fetch(form.dataset.check, {method: "POST", body: fields, headers: {"Accept": "application/json"}});
        if ((answer.headers.get("Content-Type") || "").startsWith("application/json")) return true;
        if (answer.status !== 403 || !again) return answer.status === 403; // The page that refuses the save displays the text.
        // After a login in another tab, the CSRF token of this form is no longer valid. Get the new one.
        const page = await fetch(location.href, {headers: {"Accept": "text/html"}});
        const token = new DOMParser().parseFromString(await page.text(), "text/html").querySelector("[name=csrfmiddlewaretoken]");
        if (token) form.elements.csrfmiddlewaretoken.value = token.value;
        return ask(false);
    }
    form.addEventListener("submit", async (event) => {
        if (sure) {
            saving = true;
            return;
        }
        event.preventDefault();
        try {
            sure = await ask(true);
        } catch {
            sure = false;
        }
        if (sure) {
            form.requestSubmit(event.submitter);
        } else {
            stored.textContent = stored.dataset.offline;
            stored.scrollIntoView({block: "center"});
        }
    });
    addEventListener("beforeunload", (event) => { if (!saving) event.preventDefault(); });
})();
