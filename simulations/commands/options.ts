/** Numbers and folders on the command line of the simulator. Every refusal names the option and says what it takes. */
import { ChrysalisError } from '../../src/base/errors.ts'

/** A parser of commander for a whole number within bounds. */
export function whole(option: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= min && value <= max) return value
    throw refused(option, text, `a whole number from ${min} to ${max}`)
  }
}

export function fraction(option: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (text.trim() !== '' && value >= min && value <= max) return value
    throw refused(option, text, `a number from ${min} to ${max}`)
  }
}

function refused(option: string, text: string, takes: string): ChrysalisError {
  return new ChrysalisError('usage', `${option} takes ${takes}, not "${text}". Nothing was run.`, {
    hint: 'chrysalis sim --help shows the options.'
  })
}

export const NODES_MAX = 1_000
export const WRITES_MAX = 100_000
