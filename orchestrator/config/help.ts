import { OPTIONS, type OptionInfo } from './schema.js'
import { CONFIG_FLAG, CONFIG_VARIABLE } from './sources.js'

const INDENT = ' '.repeat(6)

/** The text of --help, derived from the schema. */
export function helpText(): string {
  return [
    'Starts a Kvorum cluster on this machine, or adopts the one that runs on the same data.',
    '',
    'Usage: npm start -- [options]',
    '',
    'An option may be given as a flag, as an environment variable or in a config file (JSON, by the name in brackets);',
    'the first of these wins.',
    '',
    `  ${CONFIG_FLAG} <path>`,
    `${INDENT}the config file. Variable ${CONFIG_VARIABLE}.`,
    ...OPTIONS.flatMap(linesOf),
    '  --help, --version',
    '',
    'Exit codes: 0 stopped as asked, 1 it could not start or had to end, 2 wrong usage.',
    '',
  ].join('\n')
}

function linesOf(option: OptionInfo): string[] {
  const value = option.type === 'boolean' ? '' : ` <${option.unit ?? (option.type === 'integer' ? 'number' : 'text')}>`
  return [
    `  ${option.flag}${value}`,
    `${INDENT}${option.what}.`,
    `${INDENT}${capitalised(option.range)}, default ${option.byDefault}. Variable ${option.variable} [${option.name}].`,
    `${INDENT}Why: ${option.why}.`,
  ]
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
