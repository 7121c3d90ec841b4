-- wrk -s pipeline.lua URL -- DEPTH: sends DEPTH requests at a time.
init = function(args)
   local batch = {}
   for place = 1, tonumber(args[1]) do
      batch[place] = wrk.format()
   end
   requests = table.concat(batch)
end

request = function()
   return requests
end
