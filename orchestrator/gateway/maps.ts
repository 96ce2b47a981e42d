import type { MapSource } from '../core/map-source.js'
import type { ClusterMap } from '../core/topology.js'

/** The map now and every newer one until `signal` is aborted. Whoever is slow skips to the newest: older ones are void. */
export async function* latestMaps(maps: MapSource, signal: AbortSignal): AsyncGenerator<ClusterMap> {
  let wake = (): void => undefined
  const unsubscribe = maps.subscribe(() => wake())
  const abort = (): void => wake()
  signal.addEventListener('abort', abort, { once: true })
  try {
    let sent: ClusterMap | undefined
    while (!signal.aborted) {
      const map = maps.current()
      if (map !== sent) {
        sent = map
        yield map
        continue
      }
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  } finally {
    unsubscribe()
    signal.removeEventListener('abort', abort)
  }
}
