/** What is sent back, before anything of it is. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** What is sent bit by bit, for as long as there is something to be sent. */
export interface Streamed {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly first: Buffer
  /** It has given the first, so that its `return` frees what it holds. It does not throw. */
  readonly rest: AsyncGenerator<Buffer, undefined>
}

const EMPTY = Buffer.alloc(0)

export function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  const body = Buffer.from(`${JSON.stringify(value)}\n`)
  return { status, headers: { 'Content-Type': 'application/json', ...headers }, body }
}

export function bytes(status: number, body: Uint8Array, headers: Readonly<Record<string, string>> = {}): Answer {
  const view = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  return { status, headers: { 'Content-Type': 'application/octet-stream', ...headers }, body: view }
}

export function empty(status: number, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, headers, body: EMPTY }
}

/** Whether the client would rather have a value as it is than in JSON. Without preference it gets JSON. */
export function prefersBytes(accept: string | undefined): boolean {
  if (accept === undefined) return false
  return weightOf('application/octet-stream', accept) > weightOf('application/json', accept)
}

/** Whether the client takes this type at all. */
export function accepts(type: string, accept: string | undefined): boolean {
  return accept === undefined || weightOf(type, accept) > 0
}

function weightOf(type: string, accept: string): number {
  const weights = new Map<string, number>()
  for (const range of accept.split(',')) {
    const [name = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2)
    weights.set(name, weight === undefined ? 1 : Number(weight) || 0)
  }
  const whole = type.replace(/\/.*/, '/*')
  return weights.get(type) ?? weights.get(whole) ?? weights.get('*/*') ?? 0
}
