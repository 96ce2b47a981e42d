// Words for people about what a program, or a person, has given.

const SHOWN_MAX = 64

/** What a value is, for the message that refuses it: "undefined", "the number 5", "a Date". */
export function describe(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value.length > SHOWN_MAX ? `${value.slice(0, SHOWN_MAX)}...` : value)
    case 'number':
      return Number.isNaN(value) ? 'NaN' : `the number ${value}`
    case 'bigint':
      return `the bigint ${value}n`
    case 'boolean':
      return String(value)
    case 'function':
      return 'a function'
    case 'symbol':
      return 'a symbol'
    case 'object':
      return value === null ? 'null' : kindOf(value)
    default:
      return 'undefined'
  }
}

function kindOf(value: object): string {
  const { name = '' } = (Object.getPrototypeOf(value)?.constructor ?? {}) as { readonly name?: string }
  if (name === '' || name === 'Object') return 'an object'
  return `${/^[AEIO]/.test(name) ? 'an' : 'a'} ${name}`
}

/** The one of `names` that `word` was most likely meant to be; undefined when none is near. */
export function nearest(word: string, names: readonly string[]): string | undefined {
  const plain = (text: string) => text.toLowerCase().replace(/[^a-z0-9]/g, '')
  const far = (name: string) => distance(plain(word), plain(name))
  const best = names.reduce<string | undefined>(
    (one, other) => (one === undefined || far(other) < far(one) ? other : one),
    undefined,
  )
  // A third of it may be wrong: more is another word.
  return best !== undefined && far(best) <= Math.max(1, Math.floor(best.length / 3)) ? best : undefined
}

/** Levenshtein: how many letters must be put in, taken out or changed. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next[j] = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, change)
    }
    row = next
  }
  return row[b.length] ?? 0
}
