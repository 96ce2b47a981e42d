import type { Group } from './group.js'

/** Which nodes could not be stopped and go on, and why, for people; undefined when none does. */
export function leftRunning(groups: readonly Group[]): string | undefined {
  const byReason = new Map<string, string[]>()
  for (const { name, condition, reason } of groups.flatMap(({ nodes }) => nodes)) {
    if (condition === 'left') byReason.set(reason, [...(byReason.get(reason) ?? []), name])
  }
  if (byReason.size === 0) return undefined
  return [...byReason].map(([reason, names]) => `${names.join(', ')} (${reason})`).join('; ')
}
