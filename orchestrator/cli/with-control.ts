import { ControlClient } from '../wire/control.js'
import type { Connection } from './context.js'

/** How long each question may take. */
export interface Deadline {
  readonly deadlineMs: number
}

/** Does a command's work with a client of the orchestrator. */
export async function withControl<T>(
  { address, timeoutMs }: Connection,
  work: (client: ControlClient, deadline: Deadline) => Promise<T>,
): Promise<T> {
  const client = new ControlClient(address)
  try {
    return await work(client, { deadlineMs: timeoutMs })
  } finally {
    client.close()
  }
}
