document.getElementById("place").append(` It is served at ${location.pathname}.`)
