"""`symdiff serve`: a local page on which a formula is typed, and its derivation, graph, code and numbers are seen.

    browser -> access (token, Host, Origin) -> app (routes, sizes) -> pool (time) -> worker (memory, files) -> answer

bounds.py    what the page may cost: bytes, seconds, memory, and the limits of formulas
question.py  JSON of the page -> Question, checked
values.py    what is typed into the fields -> numbers
answer.py    Question -> what the page shows; runs in a worker
worker.py    the process in which that happens: limited memory, no files, no processes, no network
pool.py      the workers: one question a worker at a time, killed when it takes too long or nobody waits for it
access.py    who may ask: loopback only, with this start's token
app.py       the routes
server.py    port, address, start and stop

Nothing here is imported by the rest of symdiff except by its command; Starlette and uvicorn (the extra `serve`) are
imported when the server starts.
"""
