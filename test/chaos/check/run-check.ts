// Asks the checker, a Go program (this folder), about a history.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { z } from 'zod'
import { ROOT } from '../../harness/root.js'

const finding = z.object({
  key: z.string(),
  operations: z.int(),
  unknown: z.int(),
  verdict: z.enum(['ok', 'violation', 'not decided']),
  ms: z.number(),
  picture: z.string().optional(),
})
const report = z.object({ keys: z.array(finding) })

/** What is known of one key. */
export type Finding = z.infer<typeof finding>

export interface CheckOptions {
  /** Where the picture of a violation goes. */
  readonly pictures: string
  readonly perKeyMs: number
  readonly signal?: AbortSignal
}

const OUTPUT_BYTES_MAX = 1 << 26

export async function checkHistory(path: string, options: CheckOptions): Promise<readonly Finding[]> {
  const { pictures, perKeyMs, signal } = options
  const args = ['-history', path, '-pictures', pictures, '-per-key', `${perKeyMs}ms`, '-with-owner']
  const program = join(ROOT, 'dist/bin/chaos/check')
  const { stdout } = await promisify(execFile)(program, args, { maxBuffer: OUTPUT_BYTES_MAX, signal })
  return report.parse(JSON.parse(stdout)).keys
}
