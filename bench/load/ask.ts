import type { ChildProcess, Serializable } from 'node:child_process'
import { once } from 'node:events'

/** Sends a message to a forked process and resolves with its next one; rejects if it ends instead. */
export async function ask(child: ChildProcess, message: Serializable): Promise<unknown> {
  if (child.exitCode !== null || child.signalCode !== null) throw endOf(child)
  const stop = new AbortController()
  const { signal } = stop
  const died = once(child, 'exit', { signal }).then(() => {
    throw endOf(child)
  })
  died.catch(() => undefined)
  try {
    const answer = once(child, 'message', { signal })
    // What could not be sent was for a process that is ending, and that is waited for already.
    child.send(message, () => undefined)
    const [found] = (await Promise.race([answer, died])) as [unknown]
    return found
  } finally {
    stop.abort()
  }
}

function endOf({ exitCode, signalCode }: ChildProcess): Error {
  return new Error(`a worker ended with ${signalCode ?? `code ${exitCode}`}`)
}
