// Cursors and tokens as people and programs hand them on: base64url, which goes through addresses and headers as it is.

export function opaqueToText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url')
}

/** What is no base64url gives other bytes: whoever has made them looks at what they say. */
export function opaqueFromText(text: string): Uint8Array {
  return Buffer.from(text, 'base64url')
}
