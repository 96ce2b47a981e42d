import type { Context } from './context.js'

const SIGNALS = ['SIGINT', 'SIGTERM'] as const

/**
 * Does what has to be put in order before it ends: `interrupted` is aborted by Ctrl-C or SIGTERM, and a second one ends the process
 * as ever. Inside the shell it is the shell that hears them.
 */
export async function interruptibly<T>(
  { interrupted }: Pick<Context, 'interrupted'>,
  work: (interrupted: AbortSignal) => Promise<T>,
): Promise<T> {
  if (interrupted !== undefined) return work(interrupted)
  const over = new AbortController()
  const stop = () => over.abort()
  for (const name of SIGNALS) process.once(name, stop)
  try {
    return await work(over.signal)
  } finally {
    for (const name of SIGNALS) process.off(name, stop)
  }
}
