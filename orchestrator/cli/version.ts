import { readFileSync } from 'node:fs'

/** The package's. Only for built code: the sources are at another depth below package.json. */
export function version(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
