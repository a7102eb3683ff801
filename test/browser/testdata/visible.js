(async () => {
  const places = {
    'document.cookie': document.cookie,
    'localStorage': JSON.stringify({ ...localStorage }),
    'sessionStorage': sessionStorage.length ? JSON.stringify({ ...sessionStorage }) : '',
    'cookieStore': '',
    'indexedDB': '',
    'caches': '',
    'document': document.documentElement.outerHTML + [...document.querySelectorAll('input')].map((i) => i.value).join('\n'),
    'address': [location.href, document.referrer, window.name, JSON.stringify(history.state)].join('\n'),
    'performance': JSON.stringify(performance.getEntries()),
    'serviceWorkers': (await navigator.serviceWorker.getRegistrations()).map((r) => r.scope).join('\n'),
  }
  const cookies = await cookieStore.getAll()
  if (cookies.length) places.cookieStore = JSON.stringify(cookies)

  const done = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
  for (const { name } of await indexedDB.databases()) {
    places.indexedDB += name + '\n'
    const db = await done(indexedDB.open(name))
    for (const store of db.objectStoreNames) {
      const all = db.transaction(store).objectStore(store)
      places.indexedDB += JSON.stringify([store, await done(all.getAllKeys()), await done(all.getAll())]) + '\n'
    }
    db.close()
  }
  for (const name of await caches.keys()) {
    places.caches += name + '\n'
    const cache = await caches.open(name)
    for (const request of await cache.keys()) {
      places.caches += request.url + '\n' + (await (await cache.match(request)).text()) + '\n'
    }
  }

  // Every object that can be reached from window, and from the elements: frameworks hang their state on them.
  const strings = new Set()
  const known = new Set()
  const queue = [window, ...document.querySelectorAll('*'), document]
  while (queue.length && known.size < 300000) {
    const value = queue.pop()
    if (typeof value === 'string') {
      if (value.length > 15) strings.add(value)
      continue
    }
    if (value === null || (typeof value !== 'object' && typeof value !== 'function') || known.has(value)) continue
    known.add(value)
    try {
      if (value instanceof Map) queue.push(...value.keys(), ...value.values())
      if (value instanceof Set) queue.push(...value)
      // Data only: what the browser's own getters give is looked at above by name.
      for (const [key, property] of Object.entries(Object.getOwnPropertyDescriptors(value))) {
        queue.push(key, property.value)
      }
    } catch {
      // another origin's window
    }
  }
  places.globals = [...strings].join('\n')
  return JSON.stringify(places)
})()
