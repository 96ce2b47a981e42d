// The model that tells whether appends happened once. Every token is appended to one key, one time; what became of it, by
// the store's word, is held against the value in the end. Tokens never contain one another.

/** Where an acknowledged token begins in its value, or what is known of one that failed. */
type Fate = number | 'not-applied' | 'unknown'

const END = ';'

export class Ledger {
  readonly #keys = new Map<string, Map<string, Fate>>()
  #tokens = 0

  get keys(): string[] {
    return [...this.#keys.keys()]
  }

  /** A new token for a key. Until more is said of it, it may be there or not. */
  begin(key: string): string {
    const token = `${(this.#tokens++).toString(36)}${END}`
    this.#fates(key).set(token, 'unknown')
    return token
  }

  /** The store said: it was applied, and made the value so long. */
  acknowledged(key: string, token: string, length: number): void {
    this.#fates(key).set(token, length - token.length)
  }

  refused(key: string, token: string): void {
    this.#fates(key).set(token, 'not-applied')
  }

  /** What is wrong with a key's value after everything has ended, in words. */
  faultsOf(key: string, value: string | null): string[] {
    const faults: string[] = []
    const seen = new Set<string>()
    const fates = this.#fates(key)
    let at = 0
    for (const part of value?.split(END).slice(0, -1) ?? []) {
      const token = part + END
      const fault = seen.has(token) ? 'is there twice' : wrongAt(fates.get(token), at)
      if (fault !== undefined) faults.push(`${key}: ${token} at ${at} ${fault}`)
      seen.add(token)
      at += token.length
    }
    if (at !== (value?.length ?? 0)) faults.push(`${key}: what begins at ${at} is not a whole token`)
    for (const [token, fate] of fates) {
      if (typeof fate === 'number' && !seen.has(token)) faults.push(`${key}: ${token} at ${fate} is lost`)
    }
    return faults
  }

  #fates(key: string): Map<string, Fate> {
    const found = this.#keys.get(key)
    if (found !== undefined) return found
    const made = new Map<string, Fate>()
    this.#keys.set(key, made)
    return made
  }
}

function wrongAt(fate: Fate | undefined, at: number): string | undefined {
  if (fate === undefined) return 'was never appended to this key'
  if (fate === 'not-applied') return 'was reported as not applied'
  return fate === 'unknown' || fate === at ? undefined : `was reported at ${fate}`
}
