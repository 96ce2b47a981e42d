/** What is to be done when a signal is aborted. One listener for each signal, whatever the number of calls that share it. */
const tasks = new WeakMap<AbortSignal, Set<() => void>>()

/** Calls `task` once when the signal is aborted later, unless the function that it returns was called before. */
export function onAbort(signal: AbortSignal | undefined, task: () => void): () => void {
  if (signal === undefined || signal.aborted) return () => {}
  const shared = tasks.get(signal) ?? share(signal)
  // Wrapped: the same function may be given twice.
  const entry = () => task()
  shared.add(entry)
  return () => shared.delete(entry)
}

/** The listener stays for as long as the signal: it holds nothing once the calls are done. */
function share(signal: AbortSignal): Set<() => void> {
  const shared = new Set<() => void>()
  tasks.set(signal, shared)
  const run = () => {
    for (const task of [...shared]) task()
    shared.clear()
  }
  signal.addEventListener('abort', run, { once: true })
  return shared
}
