import type { Context } from '../context.js'

/** What a command gets that runs in no terminal: `said` has all that it says. */
export function plainContext(
  changes: Partial<Context> = {},
): Context & { readonly said: { out: string; warned: string } } {
  const said = { out: '', warned: '' }
  return {
    out: (text) => {
      said.out += text
    },
    warn: (text) => {
      said.warned += text
    },
    ...{ colours: false, columns: 0, version: '0' },
    ...changes,
    said,
  }
}
