// Builds dist: the entries with Vite, their types with TypeScript, and the core's types as one file. The core is committed,
// because the service's binary contains it. With --check the build fails if what was committed is not what the sources make.
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const committed = ['dist/client.js', 'dist/client.d.ts']
const read = (file) => {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
const before = committed.map(read)

rmSync('dist', { recursive: true, force: true })
await build({ logLevel: 'warn' })
execFileSync('node_modules/.bin/tsc', ['-p', 'tsconfig.build.json'], { stdio: 'inherit' })

// TypeScript leaves the imports of the declarations as they are, but Node's resolution wants whole file names.
const declarations = readdirSync('dist', { recursive: true }).filter((file) => file.endsWith('.d.ts'))
for (const file of declarations) {
  const whole = (_, from, path) => `${from}'${path}${existsSync(join('dist', dirname(file), `${path}.d.ts`)) ? '' : '/index'}.js'`
  writeFileSync(join('dist', file), read(join('dist', file)).replace(/(from |import\()'(\.[^']*)'/g, whole))
}

// The modules that declare what index.ts exports, without their imports of each other.
const modules = ['types', 'error', 'auth']
const types = modules.map((name) => read(`dist/${name}.d.ts`).replace(/^(import|export \{\}).*\n/gm, ''))
writeFileSync('dist/client.d.ts', types.join('\n'))

const stale = committed.filter((file, i) => read(file) !== before[i])
if (process.argv.includes('--check') && stale.length > 0) {
  console.error(`${stale.join(' and ')} did not fit the sources. The build has replaced it: commit it.`)
  process.exit(1)
}
