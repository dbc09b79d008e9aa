// The browser computes the digest, and sends the text only if no edition has it. Without this script, or without
// crypto.subtle (on a page without TLS), the form posts the text.
"use strict";
{
  const form = document.querySelector(".agreement-verify form");
  const { text, file } = form.elements;

  // As on import: the byte order mark is removed, and line ends become LF.
  const normalised = (written) => written.replace(/^\uFEFF/, "").replace(/\r\n?/g, "\n");

  const decoded = (bytes) => {
    try {
      return new TextEncoder().encode(normalised(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)));
    } catch {
      return bytes; // It is not UTF-8, so it is not the text of an edition. Its digest will be unknown.
    }
  };

  const ask = (sha256) => location.assign(`${form.getAttribute("action")}?sha256=${sha256}`);

  // An edition with exactly this text is found by the digest alone. In any other case the site compares the words.
  const answer = async (bytes) => {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const sha256 = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    const found = await fetch(`${form.getAttribute("action")}?sha256=${sha256}`, { method: "HEAD" }).catch(() => null);
    if (found?.ok) ask(sha256);
    else form.submit();
  };

  const isText = (chosen) => !/\.(docx|pdf)$/i.test(chosen.name);

  const read = async (chosen) => {
    file.setCustomValidity(chosen.size > Number(form.dataset.maxBytes) ? form.dataset.tooLong : "");
    if (!file.reportValidity()) return;
    if (isText(chosen)) await answer(decoded(await chosen.arrayBuffer()));
    else form.submit();
  };

  // Only one of the two can be verified. The site refuses a form with both.
  const both = () => {
    const filled = Boolean(text.value.trim() && file.files.length);
    file.setCustomValidity(filled ? form.dataset.both : "");
    return filled && !file.reportValidity();
  };

  if (window.crypto?.subtle) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (both()) return;
      const [first = ""] = text.value.trim().toLowerCase().split(/\s/, 1);
      if (text.value.length < 400 && /^[0-9a-f]{64}$/.test(first)) ask(first);
      else if (text.value.trim()) answer(new TextEncoder().encode(normalised(text.value)));
      else if (file.files.length) read(file.files[0]);
      else text.focus();
    });
    text.addEventListener("input", () => file.setCustomValidity(""));
    file.addEventListener("change", () => !both() && file.files.length && read(file.files[0]));
    form.addEventListener("dragover", (event) => event.preventDefault());
    form.addEventListener("drop", (event) => {
      if (!event.dataTransfer.files.length) return;
      event.preventDefault();
      file.files = event.dataTransfer.files;
      if (!both()) read(file.files[0]);
    });
  }
}
