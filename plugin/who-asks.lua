-- Tells Relais who asks Orthanc by C-FIND: by which keys, and not their values. Orthanc answers as it would without.
-- "LuaScripts": [ "<repository>/plugin/who-asks.lua" ]. Orthanc's Python plugin is not asked about C-FIND.

function IncomingFindRequestFilter(query, origin)
  local keys = {}
  for tag, value in pairs(query) do
    if value ~= '' then
      table.insert(keys, tag)
    end
  end
  local told = { Asking = origin['RemoteAet'], Called = origin['CalledAet'], RemoteIp = origin['RemoteIp'],
                 Level = query['0008,0052'], Keys = keys }
  pcall(function() RestApiPost('/relais-who-asks', DumpJson(told, true), false) end)
  return query
end
