import { describe } from './words.js'

/** Throws a TypeError unless it is host:port, as in "localhost:7000": no scheme, no path, a port that can be. */
export function checkAddress(address: unknown): asserts address is string {
  const port = typeof address === 'string' ? /^[^\s/]+:(\d{1,5})$/.exec(address)?.[1] : undefined
  if (port !== undefined && Number(port) >= 1 && Number(port) <= 65_535) return
  throw new TypeError(`the address must be host:port, like "localhost:7000", not ${describe(address)}`)
}
