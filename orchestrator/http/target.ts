/** What a request is for: its path as segments of bytes, none of which is merged or dropped, and its query. */
export interface Target {
  readonly segments: readonly Buffer[]
  readonly query: string
}

/** Undefined when a % does not begin an escape. In absolute form ("http://localhost/path") the host says nothing here. */
export function parseTarget(url: string): Target | undefined {
  const [path = '', ...query] = url.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '').split('?')
  const segments: Buffer[] = []
  for (const text of path.replace(/^\//, '').split('/')) {
    const bytes = decodePercent(text)
    if (bytes === undefined) return undefined
    segments.push(bytes)
  }
  return { segments, query: query.join('?') }
}

/** The bytes need not be UTF-8. Node.js lets nothing through that is not ASCII. */
function decodePercent(text: string): Buffer | undefined {
  if (/%(?![0-9a-f]{2})/i.test(text)) return undefined
  const bytes = text.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1')
}
