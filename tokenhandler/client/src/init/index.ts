#!/usr/bin/env node
import { randomBytes } from 'node:crypto'
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { answersOf, Refused, usage, type Answers } from './answers'
import { authModule, commands, configuration, hasPort, keysFile, pluginLines, secretFile, serverLine, viteConfig, withPlugin } from './texts'

const say = (text: string) => process.stdout.write(`${text}\n`)

/** Writes a file that is not there. One that is there is kept, and what it should have is shown. Tells whether all is as it should be. */
function write(file: string, text: string, mode = 0o666): boolean {
  if (!existsSync(file)) {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text, { mode, flag: 'wx' })
    say(`wrote ${file}`)
    return true
  }
  if (readFileSync(file, 'utf8') === text) {
    say(`kept ${file}: it is as it should be`)
    return true
  }
  say(`kept ${file}: it is there already. It should have:\n\n${text}`)
  return false
}

/** Brings the plugin into the configuration of Vite. The old text is kept beside it. Tells whether all is as it should be. */
function changeVite(answers: Answers): boolean {
  const file = ['ts', 'mts', 'js', 'mjs'].map((kind) => `vite.config.${kind}`).find((name) => existsSync(name))
  if (!file) return write('vite.config.ts', viteConfig(answers))
  const old = readFileSync(file, 'utf8')
  const text = withPlugin(old)
  if (text === undefined) {
    say(`kept ${file}: it has the plugin`)
    return checkPort(file, old, answers)
  }
  if (!text || existsSync(`${file}.old`)) {
    say(`kept ${file}. It should have:\n\n${pluginLines(answers)}`)
    return false
  }
  writeFileSync(`${file}.old`, old, { flag: 'wx' })
  writeFileSync(file, text)
  say(`changed ${file}: it has the plugin now; ${file}.old is what it was`)
  return checkPort(file, old, answers)
}

/** The port is a fixed one, because it is in `public_url`. */
function checkPort(file: string, config: string, answers: Answers): boolean {
  const fits = hasPort(config, answers)
  if (!fits) say(`${file} does not keep the app at port ${answers.port}, which is in public_url. It should have:\n\n${serverLine(answers)}`)
  return fits
}

/** Keeps the secrets and the binary out of Git. */
function ignore(names: string[]): void {
  const old = existsSync('.gitignore') ? readFileSync('.gitignore', 'utf8') : ''
  const missing = names.filter((name) => !old.split(/\r?\n/).includes(name))
  if (missing.length === 0) return
  appendFileSync('.gitignore', `${old && !old.endsWith('\n') ? '\n' : ''}${missing.join('\n')}\n`)
  say(`added ${missing.join(', ')} to .gitignore`)
}

function keys(file: string): void {
  if (existsSync(file)) say(`kept ${file}`)
  else write(file, `${randomBytes(32).toString('base64')}\n`, 0o600)
}

/** Returns the status with which the process ends: 0, or 1 if a file that was there must be changed by hand, or 2 after a fault. */
async function main([command, ...args]: string[]): Promise<number> {
  if (command === '--help') {
    say(usage)
    return 0
  }
  const terminal = process.stdin.isTTY ? createInterface({ input: process.stdin, output: process.stdout }) : undefined
  try {
    if (command !== 'init') throw new Refused(command ? `there is no command ${command}` : 'name a command: init')
    const answers = await answersOf(args, terminal && ((text) => terminal.question(text)))
    if (!answers) {
      say(usage)
      return 0
    }
    ignore([secretFile, keysFile, '/tokenhandler'])
    keys(keysFile)
    const written = [write('tokenhandler.yaml', configuration(answers)), changeVite(answers), write('src/auth.ts', authModule(answers))]
    say(`\nAt AWS, and then here:\n\n${commands(answers)}`)
    return written.includes(false) ? 1 : 0
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    process.stderr.write(`${error.message}\n\n${usage}`)
    return 2
  } finally {
    terminal?.close()
  }
}

process.exitCode = await main(process.argv.slice(2))
