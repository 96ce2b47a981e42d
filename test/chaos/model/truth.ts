// What clients were told must be true, whatever the order of things was: this needs no search, and its words are clearer
// than those of the checker.
import { type HistoryLine, partsOf } from './format.js'

/** What is wrong, in words: values that were read, and were refused, never written, or written to another key. */
export function truthFaults(lines: readonly HistoryLine[]): string[] {
  const writes = new Map<string, HistoryLine>()
  for (const line of lines) if (line.value !== undefined) writes.set(line.value, line)
  const faults: string[] = []
  for (const { id, client, key, got } of lines) {
    for (const part of partsOf(got ?? '')) {
      const fault = wrongWith(writes.get(part), key)
      if (fault !== undefined) faults.push(`read ${id} of ${key} by ${client} saw ${part}, which ${fault}`)
    }
  }
  return faults
}

function wrongWith(write: HistoryLine | undefined, key: string): string | undefined {
  if (write === undefined) return 'nobody has written'
  if (write.key !== key) return `was written to ${write.key}`
  const { outcome, op, id, code } = write
  if (outcome !== 'not-applied' && outcome !== 'precondition') return undefined
  return `${op} ${id} wrote and was told that it is not applied (${code ?? outcome})`
}
