/* The page that signs an edition: asks NCALayer, on the computer of the official, to sign the manifest, and posts the
   signature. Without this script the signature is chosen as a file. */
"use strict";
(() => {
    const form = document.querySelector("form[data-manifest]");
    const part = form?.querySelector("[data-nca]");
    if (!part) return;
    const button = part.querySelector("button");
    const status = part.querySelector("[role=status]");
    const CANCELLED = Symbol("cancelled");
    /* The purpose "e-mail protection", by which the authority marks the keys that sign. */
    const SIGNING = "1.3.6.1.5.5.7.3.4";

    const locale = {kk: "kk", ru: "ru"}[form.dataset.language] ?? "en";
    const sign = {
        module: "kz.gov.pki.knca.basics",
        method: "sign",
        args: {
            format: "cms",
            data: form.dataset.manifest,
            signingParams: {decode: "true", encapsulate: "false", digested: "false", tsaProfile: null},
            signerParams: {extKeyUsageOids: [SIGNING]},
            locale,
        },
    };
    /* What older versions have: the place of the key, its purpose, the data, and whether the signature contains it. */
    const signOlder = {
        module: "kz.gov.pki.knca.commonUtils",
        method: "createCMSSignatureFromBase64",
        args: ["PKCS12", "SIGNATURE", form.dataset.manifest, false],
    };

    function connect() {
        return new Promise((resolve, reject) => {
            const socket = new WebSocket(form.dataset.address);
            socket.addEventListener("open", () => resolve(socket));
            socket.addEventListener("error", () => reject(new Error("")));
        });
    }

    /* The answer to a request. The greeting with the version, and the signs of life, are no answers. */
    function ask(socket, request) {
        return new Promise((resolve, reject) => {
            socket.addEventListener("close", () => reject(new Error("")), {once: true});
            socket.addEventListener("message", function take({data}) {
                let answer;
                try {
                    answer = JSON.parse(data);
                } catch {
                    return;
                }
                if (!answer || answer.result?.version || !Object.keys(answer).length) return;
                socket.removeEventListener("message", take);
                resolve(answer);
            });
            socket.send(JSON.stringify(request));
        });
    }

    async function signature(socket) {
        let answer = await ask(socket, sign);
        if (typeof answer.status === "boolean") {
            if (!answer.status) throw new Error(answer.message ?? answer.code ?? "");
            const result = answer.body?.result;
            return (Array.isArray(result) ? result[0] : result) ?? CANCELLED;
        }
        answer = await ask(socket, signOlder); // It has no such module.
        if (answer.code === "200") return answer.responseObject;
        if (answer.message === "action.canceled") return CANCELLED;
        throw new Error(answer.message ?? answer.errorCode ?? "");
    }

    async function run() {
        button.disabled = true;
        status.textContent = form.dataset.connecting;
        let socket;
        try {
            socket = await connect();
            status.textContent = form.dataset.waiting;
            const signed = await signature(socket);
            if (signed === CANCELLED) {
                status.textContent = form.dataset.cancelled;
            } else {
                form.elements.file.value = "";
                form.elements.signature.value = signed;
                form.submit();
            }
        } catch (error) {
            status.textContent = error.message ? `${form.dataset.failed} ${error.message}` : form.dataset.absent;
        } finally {
            socket?.close();
            button.disabled = false;
        }
    }

    button.addEventListener("click", run);
    part.hidden = false;
})();
