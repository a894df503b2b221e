// Chromium opens no page of more than 2 MB that is given as a data URI, as Snakemake does: large ones are turned into blobs.
for (const result of Object.values(results)) {
  if (result.mime_type === "text/html" && result.data_uri.length > 2e6) {
    const bytes = Uint8Array.from(atob(result.data_uri.split(";base64,")[1]), (letter) => letter.charCodeAt(0));
    result.data_uri = URL.createObjectURL(new Blob([bytes], { type: "text/html;charset=utf-8" }));
  }
}
