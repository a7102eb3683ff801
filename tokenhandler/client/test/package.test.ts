import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'
import { beforeAll, expect, test } from 'vitest'

// A fresh Vite project, into which the packed package is installed. Its code is that of README.md and docs.

const root = fileURLToPath(new URL('..', import.meta.url))
const project = realpathSync(mkdtempSync(join(tmpdir(), 'project-')))
const { exports: entries, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const names = Object.keys(entries).filter((name) => name !== './package.json').map((name) => name.replace('.', 'cognito-token-handler'))

const write = (file: string, text: string) => {
  mkdirSync(dirname(join(project, file)), { recursive: true })
  writeFileSync(join(project, file), text)
}
const run = (command: string, ...args: string[]) => {
  try {
    return execFileSync(command, args, { cwd: project, encoding: 'utf8', stdio: 'pipe' })
  } catch (error) {
    throw new Error(`${command} ${args.join(' ')}: ${(error as { stdout: string }).stdout}${(error as { stderr: string }).stderr}`)
  }
}
const tsc = (options: object, include: string[]) => {
  const strict = { target: 'ES2022', lib: ['ES2022', 'DOM', 'DOM.Iterable'], jsx: 'react-jsx', strict: true, noEmit: true, types: ['node'], ...options }
  write('tsconfig.json', JSON.stringify({ compilerOptions: strict, include }))
  run(join(root, 'node_modules/.bin/tsc'))
}

beforeAll(() => {
  run('npm', 'pack', '--silent', root, '--pack-destination', project)
  write('package.json', JSON.stringify({ name: 'fresh', private: true, type: 'module' }))
  run('npm', 'install', '--offline', '--no-audit', '--no-fund', `./cognito-token-handler-${version}.tgz`)
  for (const name of ['react', 'react-dom', 'react-router', 'vite', '@types']) {
    symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name))
  }
  write('index.html', '<div id="root"></div><script type="module" src="/src/main.tsx"></script>')
  const pages = ['README.md', 'docs/storage.md', 'docs/mirror.md', 'docs/amplify.md'].map((page) => readFileSync(join(root, page), 'utf8'))
  const blocks = [...pages.join('\n').matchAll(/^```(tsx?)(?: file=(\S+))?\n([\s\S]*?)^```$/gm)]
  expect(blocks.length).toBeGreaterThan(14)
  blocks.forEach(([, kind, file = `src/readme${blocks.length}.${kind}`, text], i) => write(file.replace(`readme${blocks.length}`, `readme${i}`), text!))
}, 60_000)

test('the code of README.md and docs compiles', () => {
  tsc({ module: 'ESNext', moduleResolution: 'bundler' }, ['src', 'vite.config.ts'])
}, 60_000)

test('the types are found as Node finds modules, too, and are complete', () => {
  write('node/all.ts', names.map((name, i) => `import * as e${i} from '${name}'\nexport const f${i}: object = e${i}\n`).join(''))
  tsc({ module: 'NodeNext', moduleResolution: 'NodeNext', skipLibCheck: false }, ['node'])
}, 60_000)

test('the app can be built', async () => {
  await build({ root: project, logLevel: 'error' })
  expect(readFileSync(join(project, 'dist/index.html'), 'utf8')).toContain('/assets/')
}, 60_000)

test('every entry can be imported on a server', () => {
  const imports = names.map((name) => `await import('${name}')`).join(';')
  run('node', '--input-type=module', '-e', `${imports}; const { createAuth } = await import('cognito-token-handler'); createAuth().close()`)
}, 60_000)

test('it contains nothing but what is used', () => {
  const files = run('tar', 'tzf', `cognito-token-handler-${version}.tgz`).split('\n').filter(Boolean)
  expect(files.filter((file) => !/^package\/(dist\/.+\.(js|d\.ts)|docs\/.+\.md|package\.json|README\.md)$/.test(file))).toEqual([])
})

test('the types of the core are one file that needs no other', () => {
  write('core/client.d.ts', readFileSync(join(root, 'dist/client.d.ts'), 'utf8'))
  write('core/use.ts', `import { createAuth, ApiError, type Session } from './client.js'\nexport const s: Session = createAuth().session\nexport { ApiError }\n`)
  tsc({ module: 'NodeNext', moduleResolution: 'NodeNext', types: [], skipLibCheck: false }, ['core'])
}, 60_000)
