/** SHA-256 in hex; nothing in a page that came by plain HTTP from another machine, where browsers do without. */
export async function sha256(content: Blob): Promise<string | undefined> {
  if (!crypto.subtle) return undefined;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await content.arrayBuffer()));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
