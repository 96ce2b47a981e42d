/** Whether to write in colours: only to a terminal, and never where NO_COLOR is set to anything (no-color.org). */
export function coloursFor(
  { isTTY }: { readonly isTTY?: boolean },
  { NO_COLOR = '' }: Readonly<Record<string, string | undefined>>,
): boolean {
  return isTTY === true && NO_COLOR === ''
}
